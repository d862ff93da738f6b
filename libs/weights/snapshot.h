#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "libs/model/parameters.h"
#include "proto/hone/v1/weights.pb.h"

namespace hone {

// The weights of one version, frozen for sending: a manifest and the bytes of its tensors,
// trained ones first, then routing biases. Immutable, so that any number of subscribers read it while
// training goes on.
class Snapshot {
 public:
  // Copies what is trained and the routing biases, and computes their checksums. The weights'
  // device must be synchronized. `base_digest`: of the frozen parameters under adapters
  // (BaseDigest), 0 without.
  static std::shared_ptr<const Snapshot> Take(const std::string& run_id, int64_t version,
                                              const ParameterLayout& layout, const Weights& weights,
                                              uint64_t base_digest = 0);

  const v1::Manifest& manifest() const { return manifest_; }
  int64_t version() const { return manifest_.version(); }

  static constexpr int64_t kMaxChunkBytes = int64_t{2} << 20;

  // Calls send(chunk) for every chunk of at most kMaxChunkBytes, in order, until it returns false.
  // Small tensors travel together: a chunk covers a range of the concatenation of all tensors. True
  // if all were sent.
  template <typename Send>
  bool ForEachChunk(Send send) const {
    for (int64_t begin = 0; begin < bytes(); begin += kMaxChunkBytes)
      if (!send(MakeChunk(begin))) return false;
    return true;
  }
  int64_t bytes() const { return bytes_; }

 private:
  v1::Chunk MakeChunk(int64_t begin) const;

  v1::Manifest manifest_;
  std::unique_ptr<char[]> data_;
  int64_t bytes_ = 0;
};

// XXH3-64 over all that is trained, and biases: what tells two trainings apart.
uint64_t WeightsDigest(const Weights& weights);
// XXH3-64 over the frozen parameters; 0 when nothing is frozen.
uint64_t BaseDigest(const Weights& weights);

}  // namespace hone
