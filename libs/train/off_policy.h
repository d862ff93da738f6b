#pragma once

// What is known about a completion before the learner's forward pass: which tokens are trained,
// which count in the denominators, and how much each weighs because another policy sampled it.
// Pure, thread-safe.

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/train/loss_stats.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// One completion ready for the loss. Vectors are [tokens] and owned.
struct PreparedSequence {
  std::vector<double> logp_old;      // start of the update; in bypass mode the sampler's
  std::vector<double> logp_sampler;  // may hold NaN or -infinity where neither mask needs it
  std::vector<double> weight;        // >= 0, finite; multiplies the policy term only
  std::vector<uint8_t> mask_num;     // has a policy term
  std::vector<uint8_t> mask_den;     // counts in denominators and has a KL and entropy term
  int64_t tokens = 0;                // sum of mask_den
  bool rejected = false;
};

class OffPolicy {
 public:
  // `policy` decides whether the old logprobs matter (not for POLICY_REINFORCE alone).
  // kInvalidArgument names the field.
  static absl::StatusOr<OffPolicy> Create(const v1::OffPolicySpec& spec,
                                          v1::LossSpec::Policy policy);

  // `sampler`: logprobs that came with the tokens, [tokens]. `recomputed`: the learner's at the
  // start of the update, [tokens] if recomputes_old(), else empty. `trained`: 1 for tokens of the
  // policy, 0 for tool output; empty: all 1; all 0 for a completion that only fills its place in
  // the counts.
  //
  // A sampler's NaN or infinity takes its token out of mask_num (never weight 1) whenever the loss
  // needs the value, and the whole completion when there are too many. kOutOfRange: a recomputed
  // logprob is not finite; the step must not be applied.
  absl::StatusOr<PreparedSequence> Prepare(std::span<const double> sampler,
                                           std::span<const double> recomputed,
                                           std::span<const uint8_t> trained,
                                           LossStats* stats) const;

  // Detached weights of tokens under `numerator` against `denominator`, both [tokens] and finite in
  // `mask`; 1 elsewhere, and everywhere without a configured weight.
  std::vector<double> Weights(std::span<const double> numerator,
                              std::span<const double> denominator, std::span<const uint8_t> mask,
                              LossStats* stats) const;

  bool recomputes_old() const { return recompute_old_; }
  // The weight is that of the current policy and belongs into the loss (REINFORCE in bypass mode).
  bool weighs_current_policy() const { return has_weight() && !recompute_old_; }
  double sequence_mask_delta() const { return sequence_mask_delta_; }  // 0: off

 private:
  OffPolicy() = default;
  bool has_weight() const { return weight_ != v1::OffPolicySpec::WEIGHT_NONE; }

  bool recompute_old_ = false;
  bool needs_sampler_ = false;  // some part of the loss reads the sampler's logprobs
  v1::OffPolicySpec::Weight weight_ = v1::OffPolicySpec::WEIGHT_NONE;
  double low_ = 0, high_ = 0;
  double geo_low_ = 0, geo_high_ = 0;
  bool drop_rejected_ = false;
  double sequence_mask_delta_ = 0;
  double max_nonfinite_ = 0;
};

}  // namespace hone
