#pragma once

// Small files for the tests of this folder.

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "libs/base/check.h"

namespace hone {

inline std::string Golden(const std::string& name) {
  return std::string(HONE_GOLDEN_DIR) + "/models/" + name;
}

inline std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  HONE_CHECK(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void WriteText(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  HONE_CHECK(out.good()) << path;
}

// A safetensors file: length, header, data.
inline std::string Safetensors(const std::string& header, const std::string& data) {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  return out + header + data;
}

// The bytes of an array, little-endian.
template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace hone
