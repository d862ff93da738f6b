#pragma once

// Writes one safetensors file as a part of an atomic folder. All tensors are named up front; then
// their bytes come in any order, best in the order of tensors(), which needs no second pass for the
// checksum.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/checkpoint/folder_writer.h"
#include "libs/checkpoint/output_file.h"
#include "libs/checkpoint/safetensors_header.h"
#include "libs/checkpoint/stored_dtype.h"

namespace hone {

// Names, shapes and sizes that a reader accepts, each name once. INVALID_ARGUMENT naming the
// tensor.
absl::Status CheckTensorSpecs(const std::vector<TensorSpec>& tensors);

// The order of tensors in a file: by element size, widest first, then by name. Keeps them aligned.
void SortForFile(std::vector<TensorSpec>& tensors);

// One thread at a time.
class SafetensorsWriter {
 public:
  // `folder` must outlive this. Tensors are laid out as SortForFile says. INVALID_ARGUMENT for
  // specs or metadata that a reader would refuse; errors of FolderWriter::Begin.
  static absl::StatusOr<SafetensorsWriter> Create(FolderWriter& folder, std::string relative,
                                                  std::vector<TensorSpec> tensors,
                                                  std::map<std::string, std::string> metadata);

  // In the order of the file.
  const std::vector<TensorEntry>& tensors() const { return entries_; }
  bool complete() const { return missing_bytes_ == 0; }

  // The whole tensor, as it is stored. NOT_FOUND, INVALID_ARGUMENT (wrong size).
  absl::Status Write(absl::string_view name, const void* data, size_t bytes);
  // The next `bytes` bytes of a tensor that comes in pieces, from its byte `begin` on. Pieces come
  // in order, without gaps: INVALID_ARGUMENT otherwise.
  absl::Status WritePiece(absl::string_view name, int64_t begin, const void* data, size_t bytes);
  // FAILED_PRECONDITION while bytes are missing, naming a tensor.
  absl::Status Finish();

 private:
  SafetensorsWriter(FolderWriter& folder, std::string relative, OutputFile file)
      : folder_(&folder), relative_(std::move(relative)), file_(std::move(file)) {}

  FolderWriter* folder_;
  std::string relative_;
  OutputFile file_;
  std::vector<TensorEntry> entries_;
  std::vector<int64_t> written_;  // bytes so far, beside entries_
  int64_t missing_bytes_ = 0;
  absl::flat_hash_map<std::string, size_t> index_;
};

}  // namespace hone
