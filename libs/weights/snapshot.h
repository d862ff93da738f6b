#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/model/parameters.h"
#include "libs/model/weight_changes.h"
#include "proto/hone/v1/weights.pb.h"

namespace hone {

// Weights under a version. Their device must be synchronized.
struct WeightsVersion {
  std::string run_id;
  int64_t version = 0;
  const ParameterLayout& layout;
  std::shared_ptr<const Weights> weights;
  uint64_t base_digest = 0;  // of the frozen parameters under adapters (BaseDigest), 0 without
  // Of `weights` (bf16), cleared by whoever makes the version known; null: nothing is known.
  WeightChanges* changes = nullptr;
};

// A transfer, frozen for sending: a manifest and the bytes that it announces (weights.proto),
// either what is trained and the routing biases, whole, or what of that has changed. Immutable, so
// that any number of subscribers read it while training goes on.
class Snapshot {
 public:
  // Everything, with checksums.
  static std::shared_ptr<const Snapshot> Take(const WeightsVersion& v);
  // What changed since version v.changes->since(), which is known; null when that is more than
  // `max_bytes`.
  static std::shared_ptr<const Snapshot> TakeChanges(const WeightsVersion& v, int64_t max_bytes);

  const v1::Manifest& manifest() const { return manifest_; }
  int64_t version() const { return manifest_.version(); }
  bool whole() const { return manifest_.encoding() == v1::ENCODING_FULL; }

  static constexpr int64_t kMaxChunkBytes = int64_t{2} << 20;

  // The messages that follow the manifest, ready to be sent to everybody: chunks of at most
  // kMaxChunkBytes, in order.
  const std::vector<v1::SubscribeResponse>& chunks() const { return chunks_; }
  int64_t bytes() const { return manifest_.bytes(); }

 private:
  // An empty transfer of `bytes`.
  Snapshot(const WeightsVersion& v, v1::Encoding encoding, int64_t base_version, int64_t bytes);
  void AddTensors(const std::vector<Parameter>& parameters, DType dtype);
  // Reads device memory into [begin, begin + bytes).
  void Fill(const Device& on, int64_t begin, const void* from, int64_t bytes);
  // f(piece, at, n) for the pieces of [begin, begin + bytes), one per chunk.
  template <typename F>
  void ForEachPiece(int64_t begin, int64_t bytes, F f);
  // When everything is there.
  void Seal();

  v1::Manifest manifest_;
  std::vector<v1::SubscribeResponse> chunks_;
};

// Of all that is trained, and biases: what tells two trainings apart (Manifest.digest). Computed on
// the device.
uint64_t WeightsDigest(const Weights& weights);
// Of the frozen parameters; 0 when nothing is frozen.
uint64_t BaseDigest(const Weights& weights);

}  // namespace hone
