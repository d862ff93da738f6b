#pragma once

// The checks of a safetensors header. Nothing that the header claims is believed before it has been
// compared with the size of the file.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/checkpoint/stored_dtype.h"

namespace hone {

// One tensor of a file.
struct TensorEntry {
  std::string name;
  StoredDType dtype = StoredDType::kF32;
  std::vector<int64_t> shape;
  int64_t offset = 0;  // bytes from the start of the file
  int64_t bytes = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry>
      tensors;  // in the order of their bytes; they cover the file's data exactly
  std::map<std::string, std::string> metadata;
};

// Limits of the reader, kept by the writer.
constexpr int64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxTensorNameBytes = 4096;
constexpr size_t kMaxTensorRank = 8;

// Bytes of the length field in front of the header.
constexpr int64_t kSafetensorsPrefix = 8;

// Checks the length field (`prefix`, the first min(8, file_bytes) bytes of the file) and returns
// the header's length. INVALID_ARGUMENT; the message begins with the name of the failed check.
absl::StatusOr<int64_t> CheckHeaderLength(absl::string_view prefix, int64_t file_bytes);

// Parses and checks the header text. INVALID_ARGUMENT; the message begins with the name of the
// failed check (InvalidHeader, InvalidHeaderDeserialization, DuplicateKey, InvalidOffset,
// ValidationOverflow, MisalignedSlice, TensorInvalidInfo, MetadataIncompleteBuffer).
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view text,
                                                         int64_t file_bytes);

// The header (with its length field and padding) for tensors in the given order.
std::string BuildSafetensorsHeader(const std::vector<TensorSpec>& tensors,
                                   const std::map<std::string, std::string>& metadata);

}  // namespace hone
