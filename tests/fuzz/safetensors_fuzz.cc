// The header of a safetensors file. The input is a whole file.

#include <algorithm>
#include <cstdint>

#include "libs/base/check.h"
#include "libs/checkpoint/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hone;
  const absl::string_view file(reinterpret_cast<const char*>(data), size);
  const auto bytes = static_cast<int64_t>(size);
  const absl::StatusOr<int64_t> length =
      CheckHeaderLength(file.substr(0, std::min<size_t>(size, kSafetensorsPrefix)), bytes);
  if (!length.ok()) return 0;
  const absl::StatusOr<SafetensorsHeader> header =
      ParseSafetensorsHeader(file.substr(kSafetensorsPrefix, static_cast<size_t>(*length)), bytes);
  if (!header.ok()) return 0;
  // What was let through covers the data exactly and can be written again.
  int64_t at = kSafetensorsPrefix + *length;
  std::vector<TensorSpec> specs;
  for (const TensorEntry& t : header->tensors) {
    HONE_CHECK(t.offset == at && ByteCount(t.dtype, t.shape) == t.bytes) << t.name;
    at += t.bytes;
    specs.push_back({t.name, t.dtype, t.shape});
  }
  HONE_CHECK(at == bytes);
  const std::string again = BuildSafetensorsHeader(specs, header->metadata);
  const int64_t total = static_cast<int64_t>(again.size()) + bytes - kSafetensorsPrefix - *length;
  const absl::StatusOr<SafetensorsHeader> second =
      ParseSafetensorsHeader(absl::string_view(again).substr(kSafetensorsPrefix), total);
  HONE_CHECK(second.ok()) << second.status().ToString();
  HONE_CHECK(second->tensors.size() == specs.size() && second->metadata == header->metadata);
  return 0;
}
