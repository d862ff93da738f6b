#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/engine/block_allocator.h"
#include "libs/engine/stopping.h"
#include "libs/model/transformer.h"
#include "libs/tokenizer/tokenizer.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone {

// What to generate: `group_size` completions of one prompt.
struct GroupRequest {
  uint64_t id = 0;              // the caller's, unique among those in flight
  std::vector<int32_t> prompt;  // token ids, at least one
  int group_size = 1;
  v1::SamplingParams sampling;
  uint64_t seed = 0;  // noise is keyed by (seed, issue, sample index, position, token id)
  int64_t issue = 0;
};

// What happens to unfinished completions when the weights change.
enum class InFlight : uint8_t {
  kKeep,       // go on with the keys and values of the old weights
  kRecompute,  // drop them and compute them again under the new weights
  kAbort,      // finish with FINISH_REASON_ABORT
};

// Continuous batching over one transformer: every Step runs one ragged forward pass over prefill
// chunks and decoding sequences, then samples. The prompt of a group is prefilled once and its rows
// of the cache are shared; when the cache is full the youngest sequence gives its rows back and is
// computed again later.
//
// What a completion's tokens and logprobs are never depends on what else is in the batch, on the
// chunk size, on preemption or on threads; they equal Score() and the learner's forward pass bit
// for bit.
//
// Not thread-safe: one thread owns the engine.
class Engine {
 public:
  struct Options {
    int threads = 1;
    int64_t max_batch_tokens = 2048;   // per step; decoding sequences first, the rest is prefill
    int64_t max_sequences = 1024;      // decoding at the same time; as many rows of logits are kept
    int64_t cache_tokens = 64 * 1024;  // rows of the key/value cache, rounded up to blocks
    DType dtype = DType::kF32;         // of weights, activations and cache
    int64_t vocab = 0;  // ids from here on are never sampled; 0: the model's vocabulary
  };
  // Called from Step, once per completion as it finishes; `verdict` is left empty.
  using Sink = std::function<void(const GroupRequest& request, v1::Completion completion)>;

  // Computes on the transformer's backend. `transformer` and `tokenizer` must outlive the engine;
  // `tokenizer` may be null: then
  // completions have no text and stop strings are refused.
  Engine(const Transformer& transformer, const Tokenizer* tokenizer, const Options& options,
         Sink sink);
  ~Engine();

  // Takes effect between steps. The weights are in memory of the same backend, shared and must not
  // change while they are set, except through another SetWeights of the same object after an update
  // in place (Synchronize before it). An equal copy under the same version and kKeep changes
  // nothing but where weights are read. Nothing reads those that were set before when it returns.
  void SetWeights(std::shared_ptr<const Weights> weights, int64_t version, InFlight in_flight);
  int64_t version() const { return version_; }

  // INVALID_ARGUMENT: an empty prompt, ids outside the vocabulary, a prompt that leaves no room in
  // the context, bad sampling parameters. RESOURCE_EXHAUSTED: the cache is too small for even one
  // such sequence.
  absl::Status Submit(GroupRequest request);
  // Ends a request's unfinished completions with FINISH_REASON_ABORT; unknown ids are ignored.
  void Abort(uint64_t id);
  // One forward pass. False when there was nothing to do. Requires weights.
  bool Step();
  // Waits for what steps have left to do on the device: nothing reads the weights until the next.
  void Synchronize() const { device_.Synchronize(); }

  // Natural logs of the probabilities of tokens[1..] given those before, at `temperature`, by the
  // same code. INVALID_ARGUMENT as Submit; RESOURCE_EXHAUSTED when the cache has no room beside
  // what is running.
  absl::StatusOr<std::vector<float>> Score(const std::vector<int32_t>& tokens, float temperature);

  int64_t running() const;  // sequences that hold cache rows or wait for them
  int64_t waiting_requests() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t generated_tokens() const { return generated_tokens_; }
  int64_t prefilled_tokens() const { return prefilled_tokens_; }
  int64_t preemptions() const { return preemptions_; }
  // Steps whose pass was recorded before (Device::Record).
  int64_t replayed_steps() const { return replayed_steps_; }
  double cache_used_ratio() const;

 private:
  struct Sequence;
  struct Group;
  struct Plan;
  struct Draws;
  // What decides where the arrays of a pass are and how large: equal shapes, equal calls.
  struct Shape {
    int64_t tokens, keys, max_keys;
    const void* results;
    auto operator<=>(const Shape&) const = default;
  };

  absl::Status Check(const GroupRequest& request) const;
  void Admit();
  void PlanDecode(Plan& plan);
  void PlanPrefill(Plan& plan);
  void AddTokens(Plan& plan, Group& group, Sequence* sequence, int64_t begin, int64_t end);
  bool MakeRoom(int64_t blocks, const Group* for_group, const Sequence* for_sequence);
  bool FillUp(Batch& batch) const;
  Draws UploadDraws(const Plan& plan, int64_t count);
  void Pass(const Batch& batch, const Batch::OnDevice& arrays, const Draws& draws);
  void Take(Group& group, Sequence& sequence, int32_t token, float logp, float entropy,
            float kept_mass);
  void Finish(Group& group, Sequence& sequence, v1::FinishReason reason);
  void Sweep();

  const Transformer& transformer_;
  const Tokenizer* const tokenizer_;
  const Options options_;
  const int64_t vocab_;
  const Sink sink_;
  Device device_;
  Arena arena_;
  BlockAllocator blocks_;
  KvCache cache_;
  std::shared_ptr<const Weights> weights_;
  int64_t version_ = -1;
  // Passes of decoding steps, for these weights: null after the first of a shape, which may
  // allocate, then recorded.
  std::map<Shape, std::optional<Recording>> passes_;
  int64_t replayed_steps_ = 0;

  std::deque<GroupRequest> waiting_;
  std::vector<std::unique_ptr<Group>> groups_;  // admitted, oldest first
  int64_t generated_tokens_ = 0;
  int64_t prefilled_tokens_ = 0;
  int64_t preemptions_ = 0;
};

}  // namespace hone
