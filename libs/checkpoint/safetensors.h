#pragma once

// One safetensors file, read with pread: nothing is mapped, so a file that shrinks under a reader
// is an error and not a signal.
//
//   HONE_ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open("model.safetensors"));
//   const TensorEntry* t = file.Find("lm_head.weight");
//   std::vector<std::byte> raw(t->bytes);
//   HONE_RETURN_IF_ERROR(file.Read(t->name, raw.data(), raw.size()));

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"
#include "libs/checkpoint/safetensors_header.h"

namespace hone {

// Owns the descriptor. Thread-safety: const methods may run concurrently.
class SafetensorsFile {
 public:
  // Follows symbolic links; requires a regular file; applies every check of the header.
  // NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (bad file), each naming the path.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  SafetensorsFile(SafetensorsFile&&) noexcept = default;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept = default;

  const std::string& path() const { return path_; }
  int64_t file_bytes() const { return file_bytes_; }
  // In the order of their bytes in the file.
  const std::vector<TensorEntry>& tensors() const { return header_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  // nullptr when the file has no such tensor. Valid as long as this object (also after a move).
  const TensorEntry* Find(absl::string_view name) const;

  // The whole tensor, as stored (little-endian, row-major). `bytes` must be the tensor's size.
  // NOT_FOUND, INVALID_ARGUMENT (wrong size), DATA_LOSS (the file became shorter).
  absl::Status Read(absl::string_view name, void* out, size_t bytes) const;
  // `bytes` bytes of the tensor from byte `begin` on. OUT_OF_RANGE beyond its end.
  absl::Status ReadRange(const TensorEntry& tensor, int64_t begin, void* out, size_t bytes) const;

 private:
  SafetensorsFile(std::string path, FileDescriptor fd, int64_t file_bytes)
      : path_(std::move(path)), fd_(std::move(fd)), file_bytes_(file_bytes) {}

  std::string path_;
  FileDescriptor fd_;
  int64_t file_bytes_;
  SafetensorsHeader header_;
  absl::flat_hash_map<std::string, size_t> index_;  // into header_.tensors
};

}  // namespace hone
