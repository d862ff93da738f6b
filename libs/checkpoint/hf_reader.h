#pragma once

// The weights of a Hugging Face folder, single file or sharded, by name.
//
//   HONE_ASSIGN_OR_RETURN(auto reader, HfReader::Open(dir));
//   HONE_RETURN_IF_ERROR(reader.Read("lm_head.weight", kernels::DType::kBF16, out, vocab *
//   hidden));

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/kernels.h"
#include "libs/checkpoint/hf_index.h"
#include "libs/checkpoint/safetensors.h"
#include "libs/checkpoint/stored_dtype.h"

namespace hone {

// The scales of the fp8 tensor `x` are `x` + this.
constexpr char kScaleSuffix[] = "_scale_inv";

struct HfTensor {
  std::string name;
  StoredDType dtype = StoredDType::kF32;
  std::vector<int64_t> shape;
  int64_t bytes = 0;  // as stored
  std::string file;   // base name of the shard
};

struct HfReadOptions {
  // Infinities and NaN are INVALID_ARGUMENT instead of weights.
  bool require_finite = false;
};

// Thread-safety: const methods may run concurrently.
class HfReader {
 public:
  // Opens every shard and checks the index against them: each listed file exists and holds the
  // tensors listed for it, no tensor is in two files. Tensors that the index does not list are left
  // out with a warning. Errors: see FindHfFiles, ReadFp8Blocks and SafetensorsFile::Open.
  static absl::StatusOr<HfReader> Open(const std::string& dir);

  const std::string& dir() const { return dir_; }
  // Sorted by name.
  const std::vector<HfTensor>& tensors() const { return tensors_; }
  // nullptr when there is no such tensor.
  const HfTensor* Find(absl::string_view name) const;
  // What looked odd but did not stop anything; also logged.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // The whole tensor, row-major, converted to `to`; `elements` must be its element count.
  // F8_E4M3 is multiplied by its `<name>_scale_inv` blocks, from whichever shard they are in; a
  // missing or misshapen scale is INVALID_ARGUMENT. NOT_FOUND, INVALID_ARGUMENT (wrong count, or a
  // dtype that is no weight), DATA_LOSS (file truncated while open).
  absl::Status Read(absl::string_view name, kernels::DType to, void* out, int64_t elements,
                    const HfReadOptions& options = {}) const;
  // `count` elements from flat row-major index `first` on: what a rank that owns a slice needs.
  // OUT_OF_RANGE beyond the end.
  absl::Status ReadElements(absl::string_view name, int64_t first, int64_t count, kernels::DType to,
                            void* out, const HfReadOptions& options = {}) const;
  // The stored bytes [begin, begin + bytes) of any tensor, of whatever dtype.
  absl::Status ReadRaw(absl::string_view name, int64_t begin, void* out, size_t bytes) const;

 private:
  struct Place {
    size_t file;
    const TensorEntry* entry;
  };

  HfReader() = default;
  absl::Status ReadFp8(const Place& place, int64_t first, int64_t count, kernels::DType to,
                       void* out) const;
  absl::Status ReadPlain(const Place& place, int64_t first, int64_t count, kernels::DType to,
                         void* out) const;
  void Warn(std::string text);

  std::string dir_;
  Fp8Blocks blocks_;
  std::vector<SafetensorsFile> files_;
  std::vector<HfTensor> tensors_;
  absl::flat_hash_map<std::string, Place> places_;
  std::vector<std::string> warnings_;
};

}  // namespace hone
