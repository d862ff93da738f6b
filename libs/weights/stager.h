#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "libs/model/parameters.h"
#include "libs/tensor/device.h"
#include "proto/hone/v1/weights.pb.h"

namespace hone {

// Receives one version after another beside the weights in use: nothing is visible until the last
// byte has come and every checksum agrees. Versions never go back. Not thread-safe.
class Stager {
 public:
  // Weights come to be in memory of `table`. `layout` must outlive this. `base`: frozen weights
  // that the adapters of `layout` belong to; null for a layout without adapters.
  Stager(std::string run_id, const ParameterLayout& layout, DType dtype,
         std::shared_ptr<const Weights> base = nullptr, int64_t have_version = -1,
         const kernels::Table& table = kernels::Cpu());
  ~Stager();

  // A new transfer; an unfinished one is forgotten. INVALID_ARGUMENT: another run, or tensors that
  // are not those of the layout (name, dtype or shape), or adapters of another base. FAILED_PRECONDITION: a version that is not
  // above the last one. UNIMPLEMENTED: an encoding other than FULL.
  absl::Status Begin(const v1::Manifest& manifest);
  // The next chunk. DATA_LOSS: a wrong checksum, of the chunk or (with the last one) of a tensor,
  // which is named. INVALID_ARGUMENT: another version, a gap, too many bytes.
  absl::Status Add(const v1::Chunk& chunk);
  // The complete weights, adapters merged, once; null until then.
  std::shared_ptr<Weights> Take();
  // Of what Take returned last, or what the constructor was given.
  int64_t version() const { return version_; }
  int64_t staged_version() const { return manifest_.version(); }

 private:
  absl::Status Check(const v1::Manifest& manifest) const;
  void Place(const char* data, int64_t size);

  const std::string run_id_;
  const ParameterLayout& layout_;
  const DType dtype_;
  const std::shared_ptr<const Weights> base_;
  const uint64_t base_digest_;
  int64_t version_;
  v1::Manifest manifest_;
  const Device on_;
  std::shared_ptr<Weights> staging_;
  struct Tensor;  // the one that is arriving
  std::unique_ptr<Tensor> tensor_;
  std::string damaged_;  // the first tensor with a wrong checksum
  int64_t received_ = 0;
  int64_t total_ = 0;
};

}  // namespace hone
