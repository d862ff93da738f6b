#include "libs/train/off_policy.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/train/kl.h"

namespace hone {
namespace {

using v1::LossSpec;
using v1::OffPolicySpec;

absl::Status Bad(absl::string_view field, double value, absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("loss.off_policy.", field, ": ", value, "; expected ", expected));
}

double ClampedExp(double log_ratio, LossStats* stats) {
  const double clamped = std::clamp(log_ratio, -kMaxLogRatio, kMaxLogRatio);
  stats->sums[LossStats::kClampedRatio] += clamped != log_ratio;
  return std::exp(clamped);
}

}  // namespace

absl::StatusOr<OffPolicy> OffPolicy::Create(const OffPolicySpec& spec, LossSpec::Policy policy) {
  for (const auto& [name, value] : {std::pair<const char*, double>{"weight_low", spec.weight_low()},
                                    {"weight_high", spec.weight_high()},
                                    {"geo_low", spec.geo_low()},
                                    {"geo_high", spec.geo_high()},
                                    {"sequence_mask_delta", spec.sequence_mask_delta()}}) {
    if (!std::isfinite(value) || value < 0) return Bad(name, value, "a finite number >= 0");
  }
  if (!(spec.max_nonfinite() >= 0 && spec.max_nonfinite() <= 1)) {
    return Bad("max_nonfinite", spec.max_nonfinite(), "0 to 1");
  }
  if (!OffPolicySpec::Weight_IsValid(spec.weight()))
    return Bad("weight", spec.weight(), "a known weight");
  OffPolicy o;
  o.recompute_old_ = spec.recompute_old();
  if (spec.weight() != OffPolicySpec::WEIGHT_UNSPECIFIED) o.weight_ = spec.weight();
  o.low_ = spec.weight_low();
  o.high_ = spec.weight_high() != 0                         ? spec.weight_high()
            : o.weight_ == OffPolicySpec::WEIGHT_TOKEN_MASK ? 5
                                                            : 2;
  o.geo_low_ = spec.geo_low();
  o.geo_high_ = spec.geo_high();
  o.drop_rejected_ = spec.drop_rejected();
  o.sequence_mask_delta_ = spec.sequence_mask_delta();
  o.max_nonfinite_ = spec.max_nonfinite() == 0 ? 0.01 : spec.max_nonfinite();
  const bool geo = o.geo_low_ != 0 || o.geo_high_ != 0;
  if (o.low_ > o.high_)
    return Bad("weight_low", o.low_, absl::StrCat("at most weight_high, ", o.high_));
  if (geo && o.geo_low_ > o.geo_high_) {
    return Bad("geo_low", o.geo_low_, absl::StrCat("at most geo_high, ", o.geo_high_));
  }
  if (geo && !o.recompute_old_) {
    return Bad("geo_high", o.geo_high_, "recompute_old: without it the ratio is 1 by definition");
  }
  if (o.has_weight() && !o.recompute_old_ && policy != LossSpec::POLICY_REINFORCE) {
    return Bad("weight", o.weight_,
               "recompute_old or POLICY_REINFORCE: the ratio to the sampler's logprobs is in the "
               "loss already");
  }
  // Recomputed logprobs stand between the sampler's and a ratio loss; without them every loss but
  // plain REINFORCE divides by the sampler's probability.
  o.needs_sampler_ = o.has_weight() || geo || o.sequence_mask_delta_ > 0 ||
                     (!o.recompute_old_ && policy != LossSpec::POLICY_REINFORCE);
  return o;
}

absl::StatusOr<PreparedSequence> OffPolicy::Prepare(std::span<const double> sampler,
                                                    std::span<const double> recomputed,
                                                    std::span<const uint8_t> trained,
                                                    LossStats* stats) const {
  const size_t n = sampler.size();
  HONE_CHECK(recomputed.size() == (recompute_old_ ? n : 0))
      << recomputed.size() << " recomputed, " << n;
  HONE_CHECK(trained.empty() || trained.size() == n) << trained.size() << " != " << n;
  PreparedSequence s;
  s.logp_sampler.assign(sampler.begin(), sampler.end());
  s.logp_old =
      recompute_old_ ? std::vector<double>(recomputed.begin(), recomputed.end()) : s.logp_sampler;
  s.mask_den.assign(n, 1);
  for (size_t t = 0; t < trained.size(); ++t) s.mask_den[t] = trained[t] != 0;
  s.mask_num = s.mask_den;

  int64_t tokens = 0, nonfinite = 0;
  for (size_t t = 0; t < n; ++t) {
    if (!s.mask_den[t]) continue;
    ++tokens;
    if (recompute_old_ && !std::isfinite(recomputed[t])) {
      return absl::OutOfRangeError(absl::StrCat("recomputed logprob of token ", t, " of ", n,
                                                " is ", recomputed[t],
                                                "; expected a finite number"));
    }
    if (std::isfinite(sampler[t])) continue;
    ++nonfinite;
    if (needs_sampler_) s.mask_num[t] = 0;
  }
  stats->sums[LossStats::kNonfinite] += static_cast<double>(nonfinite);
  if (recompute_old_) stats->AddMismatch(recomputed, sampler, s.mask_den);
  s.weight = recompute_old_ ? Weights(s.logp_old, s.logp_sampler, s.mask_num, stats)
                            : std::vector<double>(n, 1.0);

  s.rejected = needs_sampler_ &&
               static_cast<double>(nonfinite) > max_nonfinite_ * static_cast<double>(tokens);
  if (geo_low_ != 0 || geo_high_ != 0) {
    double sum = 0;
    int64_t counted = 0;
    for (size_t t = 0; t < n; ++t) {
      if (!s.mask_num[t]) continue;
      sum += s.logp_old[t] - s.logp_sampler[t];
      ++counted;
    }
    if (counted > 0) {
      const double geo = std::exp(std::clamp(sum / counted, -kMaxLogRatio, kMaxLogRatio));
      s.rejected |= !(geo >= geo_low_ && geo <= geo_high_);
    }
  }
  if (s.rejected) {
    stats->sums[LossStats::kRejectedSequences] += 1;
    std::fill(s.mask_num.begin(), s.mask_num.end(), 0);
    if (drop_rejected_) std::fill(s.mask_den.begin(), s.mask_den.end(), 0);
  }
  s.tokens = std::count(s.mask_den.begin(), s.mask_den.end(), 1);
  return s;
}

std::vector<double> OffPolicy::Weights(std::span<const double> numerator,
                                       std::span<const double> denominator,
                                       std::span<const uint8_t> mask, LossStats* stats) const {
  const size_t n = mask.size();
  std::vector<double> weight(n, 1.0);
  if (!has_weight()) return weight;
  double sequence = 1;
  if (weight_ == OffPolicySpec::WEIGHT_SEQUENCE_TRUNCATE) {
    double sum = 0;
    for (size_t t = 0; t < n; ++t) sum += mask[t] ? numerator[t] - denominator[t] : 0;
    sequence = ClampedExp(sum, stats);
  }
  for (size_t t = 0; t < n; ++t) {
    if (!mask[t]) continue;
    const double w = weight_ == OffPolicySpec::WEIGHT_SEQUENCE_TRUNCATE
                         ? sequence
                         : ClampedExp(numerator[t] - denominator[t], stats);
    if (weight_ == OffPolicySpec::WEIGHT_TOKEN_MASK) {
      weight[t] = w >= low_ && w <= high_ ? w : 0;
    } else {
      weight[t] = std::clamp(w, low_, high_);
    }
    stats->sums[LossStats::kWeightTokens] += 1;
    stats->sums[LossStats::kWeight] += weight[t];
    stats->sums[LossStats::kWeightSquared] += weight[t] * weight[t];
    stats->Raise(LossStats::kWeightMax, weight[t]);
    stats->Raise(LossStats::kWeightNegatedMin, -weight[t]);
  }
  return weight;
}

}  // namespace hone
