#pragma once

// Optimiser moments, master weights and the like: tensors of which every rank holds a part. A rank
// writes its parts to a safetensors file of its own; the reader joins the files of all ranks, so
// that a state written by 8 ranks can be read by 3.

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
#include "libs/checkpoint/safetensors.h"
#include "libs/checkpoint/safetensors_writer.h"
#include "libs/checkpoint/stored_dtype.h"

namespace hone {

// A range of the flat, row-major elements of a tensor. Whole-byte dtypes only.
struct StateSlice {
  std::string name;
  StoredDType dtype = StoredDType::kF32;
  std::vector<int64_t> shape;  // of the whole tensor
  int64_t begin = 0;           // first element of this rank's range
  int64_t count = -1;          // elements of the range; -1: all from `begin` on
};

// Scalars travel as strings in the metadata of a file: integers in decimal, doubles in hexadecimal
// ("0x1.8p+1"), which is exact.
std::string EncodeScalar(int64_t value);
std::string EncodeScalar(double value);
// NOT_FOUND, or DATA_LOSS when the text is no such number.
absl::StatusOr<int64_t> DecodeInt64(const std::map<std::string, std::string>& metadata,
                                    const std::string& key);
absl::StatusOr<double> DecodeDouble(const std::map<std::string, std::string>& metadata,
                                    const std::string& key);

// Begins a file of one rank. `metadata` holds its scalars; the key "hone.slices" is taken. A whole
// tensor is stored with its shape, a part as [count]. INVALID_ARGUMENT for ranges outside their
// tensor. Then Write each slice by name, and Finish.
absl::StatusOr<SafetensorsWriter> CreateStateFile(FolderWriter& folder, std::string relative,
                                                  const std::vector<StateSlice>& slices,
                                                  std::map<std::string, std::string> metadata);

// Thread-safety: const methods may run concurrently.
class StateReader {
 public:
  struct Tensor {
    std::string name;
    StoredDType dtype = StoredDType::kF32;
    std::vector<int64_t> shape;  // of the whole tensor
    int64_t elements = 0;
  };

  // Opens all files, which together must hold every element of every tensor exactly once; ranks may
  // have no part of a tensor. DATA_LOSS for gaps, overlaps, or files that disagree on a dtype or
  // shape; errors of SafetensorsFile::Open.
  static absl::StatusOr<StateReader> Open(const std::vector<std::string>& paths);

  // Sorted by name.
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const Tensor* Find(absl::string_view name) const;
  // Scalars of each file, in the order of the paths.
  const std::map<std::string, std::string>& metadata(size_t file) const {
    return files_[file].metadata();
  }
  size_t file_count() const { return files_.size(); }

  // `count` elements from flat index `first` on, in the stored dtype, gathered from whichever files
  // hold them. `bytes` must be their size. NOT_FOUND, INVALID_ARGUMENT, OUT_OF_RANGE, DATA_LOSS.
  absl::Status ReadElements(absl::string_view name, int64_t first, int64_t count, void* out,
                            size_t bytes) const;
  // The whole tensor.
  absl::Status Read(absl::string_view name, void* out, size_t bytes) const;

 private:
  struct Part {
    size_t file;
    const TensorEntry* entry;
    int64_t begin, count;  // elements
  };

  StateReader() = default;

  std::vector<SafetensorsFile> files_;
  std::vector<Tensor> tensors_;
  absl::flat_hash_map<std::string, std::vector<Part>>
      parts_;  // sorted by begin, without empty ones
};

}  // namespace hone
