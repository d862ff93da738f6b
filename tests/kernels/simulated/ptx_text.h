#pragma once

// Pieces of the text of PTX: numbers, types, lists, declarations.

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tests/kernels/simulated/program.h"

namespace hone::simulated {

inline bool IsSpace(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}
inline bool IsDigit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}
inline bool IsNumber(const std::string& text) {
  return IsDigit(text[0]) || (text[0] == '-' && text.size() > 1);
}
// 12, -3, 0x1f, and the bits of 0f3F800000 and 0d3FF0000000000000.
inline uint64_t Number(const std::string& text) {
  if (text[0] == '0' && std::strchr("fFdD", text[1]) != nullptr && text[1] != '\0')
    return std::strtoull(text.c_str() + 2, nullptr, 16);
  return text[0] == '-' ? static_cast<uint64_t>(std::strtoll(text.c_str(), nullptr, 0))
                        : std::strtoull(text.c_str(), nullptr, 0);
}
inline int64_t AlignUp(int64_t value, int64_t to) {
  return (value + to - 1) / to * to;
}
// "b64": 8; "pred": 0.
inline int BytesOf(const std::string& type) {
  return type == "pred" ? 0 : std::atoi(type.c_str() + 1) / 8;
}
inline File FileOf(const std::string& type) {
  return type == "pred" ? File::kPredicate : BytesOf(type) == 8 ? File::kLong : File::kWord;
}
// The parts of `text` between `separator`s, without spaces; not within {} and [].
inline std::vector<std::string> Split(const std::string& text, const char* separators) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  for (char c : text) {
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    if (IsSpace(c)) continue;
    if (depth == 0 && std::strchr(separators, c) != nullptr) {
      parts.push_back(std::move(part));
      part.clear();
    } else {
      part += c;
    }
  }
  if (!part.empty()) parts.push_back(std::move(part));
  return parts;
}
inline std::string Inside(const std::string& braced) {
  return braced.substr(1, braced.size() - 2);
}

// " .align 128 .b8 name[4224]"
struct Variable {
  std::string name;
  int64_t align = 1, bytes = 0;

  explicit Variable(const std::string& text) {
    std::string word, type;
    bool is_align = false;
    const auto take = [&] {
      if (is_align) align = std::atoll(word.c_str());
      if (word[0] == '.' && word != ".align" && word != ".param") type = word.substr(1);
      if (word[0] != '.' && !is_align) name = word;
      is_align = word == ".align";
      word.clear();
    };
    for (char c : text + " ")
      if (!IsSpace(c)) {
        word += c;
      } else if (!word.empty()) {
        take();
      }
    bytes = BytesOf(type);
    if (align == 1) align = bytes;
    if (const size_t bracket = name.find('['); bracket != std::string::npos) {
      bytes *= std::atoll(name.c_str() + bracket + 1);
      name.resize(bracket);
    }
  }
};

}  // namespace hone::simulated
