#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "libs/model/parameters.h"
#include "libs/tensor/device.h"
#include "proto/hone/v1/weights.pb.h"

namespace hone {

// Receives one transfer after another beside the weights in use: nothing is visible until the last
// byte has come, every checksum agrees, and so does the digest of the weights as they are on the
// device. What Take returns never goes back. Not thread-safe, but for Close.
class Stager {
 public:
  // Weights come to be in memory of `table`. `layout` must outlive this. `base`: frozen weights
  // that the adapters of `layout` belong to; null for a layout without adapters.
  Stager(std::string run_id, const ParameterLayout& layout, DType dtype,
         std::shared_ptr<const Weights> base = nullptr,
         const kernels::Table& table = kernels::Cpu());
  ~Stager();

  // Waits until of the versions that Take gave only one is still held, so that the next transfer
  // finds memory and there are never more than two versions; an unfinished transfer is forgotten.
  // False after Close.
  bool WaitForRoom();
  // Ends WaitForRoom, now and later. From any thread.
  void Close();

  // A new transfer; an unfinished one is forgotten. INVALID_ARGUMENT: another run, or tensors that
  // are not those of the layout (name, dtype or shape), a length that the encoding cannot have, or
  // adapters of another base. FAILED_PRECONDITION: a whole version that is not above
  // have_version(), or changes since another one. UNIMPLEMENTED: an encoding of a later release.
  absl::Status Begin(const v1::Manifest& manifest);
  // The next chunk. DATA_LOSS: a wrong checksum, of the chunk or (with the last one) of a tensor,
  // which is named; changes that cannot be; weights that came out otherwise than the learner's.
  // INVALID_ARGUMENT: another version, a gap, too many bytes.
  absl::Status Add(const v1::Chunk& chunk);
  // The complete weights, adapters merged, once; null until then, and for versions that are not
  // above the last one.
  std::shared_ptr<const Weights> Take();
  // Of what Take returned last; -1 before.
  int64_t version() const { return version_; }
  int64_t staged_version() const { return manifest_.version(); }
  // The version to whose changes Begin can be given, and what to ask a learner for: -1 after
  // changes turned out damaged, so that the next transfer is a whole one.
  int64_t have_version() const { return have_version_; }

 private:
  struct Tensor;  // the one that is arriving

  class Spares;  // weights that nobody uses any more

  std::shared_ptr<Weights> NewWeights() const;
  void Forget();
  void DropBase();
  absl::Status Check(const v1::Manifest& manifest) const;
  absl::Status CheckSparse(const v1::Manifest& manifest) const;
  void PlaceWhole(const char* data, int64_t size);
  absl::Status ApplyChanges();
  // When all has come.
  absl::Status Finish();

  const std::string run_id_;
  const ParameterLayout& layout_;
  const DType dtype_;
  const std::shared_ptr<const Weights> base_;
  const uint64_t base_digest_;
  const Device on_;
  const std::shared_ptr<Spares> spares_;
  int64_t version_ = -1;
  // What changes are applied to: null when whole versions are all that comes.
  std::shared_ptr<const Weights> have_;
  int64_t have_version_ = -1;

  v1::Manifest manifest_;
  bool receiving_ = false;
  int64_t received_ = 0;              // bytes
  std::shared_ptr<Weights> staging_;  // null until there is something to put into it
  std::unique_ptr<Tensor> tensor_;
  std::string damaged_;  // the first tensor with a wrong checksum
  std::string changes_;  // of a sparse delta: they are few
};

}  // namespace hone
