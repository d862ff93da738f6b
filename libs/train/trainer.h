#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/balance.h"
#include "libs/model/transformer.h"
#include "libs/tensor/arena.h"
#include "libs/tensor/device.h"
#include "libs/train/loss_stats.h"
#include "libs/train/optimizer.h"
#include "libs/train/packing.h"
#include "libs/train/policy_loss.h"
#include "proto/hone/v1/config.pb.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone {

// A demonstration, as token ids.
struct Demonstration {
  std::vector<int32_t> prompt;
  std::vector<int32_t> response;  // end-of-sequence token included
};

// What a step measured, by name (README.md).
using StepValues = std::map<std::string, double>;

// Turns batches into updates of one model's weights. Everything that a step's arithmetic depends on
// is an argument or part of the training state, so that the same calls give the same bits on any
// number of threads.
//
// Owns weights (shared with whoever was given them), gradients, moments and the reference. Not
// thread-safe.
class Trainer {
 public:
  struct Options {
    int threads = 1;
    DType dtype = DType::kF32;
    int64_t vocab = 0;  // ids from here on have no probability; 0: the model's vocabulary
    int64_t head_chunk_bytes = int64_t{256} << 20;  // logits kept at a time
    ActivationCheckpointing checkpointing = ActivationCheckpointing::kNone;
    // Called before each update writes weights(): those who read them beside the trainer must have
    // ended when it returns. The passes before it only read. May be null.
    std::function<void()> before_change;
  };

  // Computes on the transformer's backend. `transformer` must outlive this. Weights start as zeros:
  // initialize or load them through weights().
  Trainer(const Transformer& transformer, const Options& options);

  Weights& weights() { return *weights_; }
  const Weights& weights() const { return *weights_; }
  // The same object, which is alive as long as somebody holds it.
  std::shared_ptr<const Weights> shared_weights() const { return weights_; }
  Optimizer& optimizer() { return *optimizer_; }
  // Which weights the steps changed; null in f32. Afresh after WeightsChanged.
  WeightChanges* changes() { return optimizer_->changes(); }
  // Call after the weights were initialized or loaded: merged and master weights take their values.
  void WeightsChanged();

  // Fresh moments; the reference, if `with_reference`, becomes the present weights.
  void BeginStage(bool with_reference);
  // Reference weights of the stage; null without.
  Weights* reference() { return reference_.get(); }
  // Call after the reference's values were restored.
  void ReferenceChanged();

  // Mean negative log-likelihood of the response tokens. `step` counts from 0 in the stage.
  // INVALID_ARGUMENT: a demonstration that is empty or longer than the context.
  absl::StatusOr<StepValues> SftStep(const v1::SftStage& spec,
                                     std::span<const Demonstration> demonstrations, int64_t step);

  // One rollout batch: advantages, minibatches, updates. `step` counts from 0 in the stage,
  // `version` is that of the present weights, `seed` the run's. Metric names are listed in
  // README.md. INVALID_ARGUMENT: a group whose logprobs do not match its tokens, or ids outside the
  // vocabulary.
  absl::StatusOr<StepValues> GrpoStep(const v1::GrpoStage& spec, std::span<const v1::Group> groups,
                                      int64_t step, int64_t version, uint64_t seed);

  // Natural logs of the probabilities of every completion token under `weights`.
  std::vector<std::vector<float>> Logprobs(const Weights& weights,
                                           std::span<const TrainSequence> sequences,
                                           int64_t max_tokens);

 private:
  struct Sample;
  struct Scored;
  struct ForLoss;
  // Of a micro-batch: reads logp and entropy, fills the rest.
  using Loss = std::function<void(ForLoss& rows)>;

  absl::StatusOr<std::vector<Sample>> Collect(const v1::GrpoStage& spec,
                                              std::span<const v1::Group> groups, int64_t step,
                                              StepValues& metrics);
  absl::Status Update(const v1::GrpoStage& spec, const PolicyLoss& loss,
                      std::span<Sample*> minibatch, bool on_policy, int64_t step, int64_t version,
                      LossStats& stats, StepValues& sums);
  // Forward pass of one micro-batch up to the scored rows' hidden states, in an arena of its own.
  Scored ForwardScored(const Weights& weights, const MicroBatch& m, SavedForward& saved);
  // Gradients of one micro-batch.
  void ForwardBackward(const MicroBatch& m, double balance_alpha, ExpertLoad& load,
                       const Loss& loss);
  // Clipping, the update, the routing biases.
  StepValues Apply(const v1::OptimizerSpec& spec, const v1::MoeSpec& moe, double learning_rate,
                   const ExpertLoad& load);
  int64_t HeadRows() const;
  // What ForwardBackward takes of the arena: ForwardScored makes room for it.
  int64_t BytesOf(const MicroBatch& m) const;
  // The reference becomes the present weights.
  void RefreshReference();

  const Transformer& transformer_;
  const Options options_;
  const int64_t vocab_;
  Device device_;
  Arena arena_;
  const std::shared_ptr<Weights> weights_;
  ParameterArena gradients_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Weights> reference_;
};

}  // namespace hone
