#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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

  // The messages that follow the manifest, ready to be sent to everybody: chunks of at most
  // kMaxChunkBytes, in order. Small tensors travel together: a chunk covers a range of the
  // concatenation of all tensors.
  const std::vector<v1::SubscribeResponse>& chunks() const { return chunks_; }
  int64_t bytes() const { return bytes_; }

 private:
  // f(piece, at, n) for the pieces of [begin, begin + bytes) of the concatenation, one per chunk.
  template <typename F>
  void ForEachPiece(int64_t begin, int64_t bytes, F f);

  v1::Manifest manifest_;
  std::vector<v1::SubscribeResponse> chunks_;
  int64_t bytes_ = 0;
};

// XXH3-64 over all that is trained, and biases: what tells two trainings apart.
uint64_t WeightsDigest(const Weights& weights);
// XXH3-64 over the frozen parameters; 0 when nothing is frozen.
uint64_t BaseDigest(const Weights& weights);

}  // namespace hone
