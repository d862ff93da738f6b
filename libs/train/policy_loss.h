#pragma once

// The policy losses of the GRPO family. Every loss comes down to one number per token,
// c_t = dL / d logp_t, from which the learner's head makes the gradient of the logits; so the loss
// never sees logits, and the head never sees an algorithm.
//
// A minibatch runs in three passes:
//   1. Prepare() each completion: masks and off-policy weights;
//   2. count the prepared completions, add the counts over all ranks, Divide();
//   3. after the forward pass of any whole completion, in any order: Evaluate().

#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/train/denominators.h"
#include "libs/train/loss_stats.h"
#include "libs/train/off_policy.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// What Evaluate() reads of one completion. Spans are [tokens] of the completion, or empty where
// said; logs are natural, of probabilities at the sampling temperature.
struct LossInput {
  const PreparedSequence* prepared = nullptr;
  std::span<const double> logp;       // under the policy being trained
  std::span<const double> advantage;  // equal for all tokens where a completion has one reward
  std::span<const double> logp_ref;   // empty: no reference was run
  std::span<const double> entropy;    // nats, of the policy's distribution; empty: not computed
};

struct SequenceLoss {
  double value = 0;  // this completion's part of the minibatch's loss
  // dL / dH_t of each token in mask_den: 0 or negative, for the head. `value` has the entropy's
  // part only if `entropy` was given.
  double entropy_coefficient = 0;
};

// Immutable; all methods are pure up to `stats` and may run concurrently on different `stats`.
class PolicyLoss {
 public:
  // `max_new_tokens`: the sampling limit, which AGGREGATION_CONST_NORM divides by.
  // kInvalidArgument names the field, its value and what was expected.
  static absl::StatusOr<PolicyLoss> Create(const v1::LossSpec& loss, const v1::KlSpec& kl,
                                           int64_t max_new_tokens);

  // See OffPolicy::Prepare. For a completion with SampleUse::kMask pass `trained` all 0.
  absl::StatusOr<PreparedSequence> Prepare(std::span<const double> sampler,
                                           std::span<const double> recomputed,
                                           std::span<const uint8_t> trained,
                                           LossStats* stats) const {
    return off_policy_.Prepare(sampler, recomputed, trained, stats);
  }

  // `global`: one AddSequence(prepared.tokens) per completion of the minibatch, over all ranks.
  Denominators Divide(const BatchCounts& global) const;

  // Writes c_t into `coefficient` ([tokens]; 0 outside the masks) and adds to `stats`.
  // kOutOfRange: a learner's or reference's logprob or an advantage that is needed is not finite.
  // Then nothing was written or counted, and the step must not be applied. kFailedPrecondition: the
  // loss has a KL term but `logp_ref` is empty.
  absl::StatusOr<SequenceLoss> Evaluate(const LossInput& in, const Denominators& denominators,
                                        std::span<double> coefficient, LossStats* stats) const;

  // A reference forward is needed for the loss, not counting monitoring.
  bool needs_reference() const { return kl_in_loss_; }
  // A forward at the start of the update is needed (decoupled correction).
  bool recomputes_old() const { return off_policy_.recomputes_old(); }

 private:
  struct Term;
  explicit PolicyLoss(OffPolicy off_policy) : off_policy_(std::move(off_policy)) {}
  Term TokenTerm(double logp, double logp_old, double log_ratio, double advantage) const;
  absl::Status CheckFinite(const LossInput& in) const;
  bool SequenceMasked(const LossInput& in) const;

  OffPolicy off_policy_;
  v1::LossSpec::Policy policy_ = v1::LossSpec::POLICY_CLIP;
  v1::LossSpec::Aggregation aggregation_ = v1::LossSpec::AGGREGATION_TOKEN_MEAN;
  bool count_masked_sequences_ = false;
  int64_t max_new_tokens_ = 0;
  double clip_low_ = 0, clip_high_ = 0;
  double dual_clip_ = 0;  // infinity: off
  double ratio_cap_ = 0;  // infinity: off
  double sapo_tau_positive_ = 0, sapo_tau_negative_ = 0;
  double entropy_coef_ = 0;
  v1::KlSpec::Estimator estimator_ = v1::KlSpec::ESTIMATOR_K3;
  double beta_ = 0;
  bool kl_in_loss_ = false;
};

}  // namespace hone
