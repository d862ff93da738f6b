#pragma once

// Estimators of the divergence of the policy from a reference at one sampled token.
// Pure, thread-safe, double precision.

#include <cstdint>
#include <span>

#include "proto/hone/v1/config.pb.h"

namespace hone {

// Differences of log-probabilities are kept within this before exp().
inline constexpr double kMaxLogRatio = 20;

struct KlTerm {
  double value = 0;
  double coefficient = 0;  // d value / d logp
  bool clamped = false;    // a log-ratio left [-kMaxLogRatio, kMaxLogRatio]
};

// True when the estimator weighs with pi / pi_old, so that `logp_old` below is used.
bool KlUsesOld(v1::KlSpec::Estimator estimator);

// `logp`, `logp_ref`, `logp_old`: natural logs, finite (`logp_old` may be anything unless
// KlUsesOld). k3 and its kin grow like exp(logp_ref - logp); that exponent is clamped, in value and
// coefficient.
KlTerm EvaluateKl(v1::KlSpec::Estimator estimator, double logp, double logp_ref, double logp_old);

// What PLACEMENT_REWARD subtracts from a completion's score before advantages are computed:
// beta * sum over trained tokens of the estimator, at the policy that sampled (so rho is 1).
// Spans are [tokens] with finite entries; an empty `trained` trains all.
double KlRewardPenalty(const v1::KlSpec& spec, std::span<const double> logp_old,
                       std::span<const double> logp_ref, std::span<const uint8_t> trained);

}  // namespace hone
