#include "libs/train/loss_stats.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "libs/base/check.h"
#include "libs/train/kl.h"

namespace hone {

LossStats::LossStats() {
  maxima.fill(-std::numeric_limits<double>::infinity());
}

void LossStats::Add(const LossStats& other) {
  for (int i = 0; i < kSums; ++i) sums[i] += other.sums[i];
  for (int i = 0; i < kMaxima; ++i) maxima[i] = std::max(maxima[i], other.maxima[i]);
}

void LossStats::Raise(Max field, double value) {
  maxima[field] = std::max(maxima[field], value);
}

void LossStats::AddMismatch(std::span<const double> learner, std::span<const double> sampler,
                            std::span<const uint8_t> mask) {
  HONE_CHECK(learner.size() == sampler.size()) << learner.size() << " != " << sampler.size();
  HONE_CHECK(mask.empty() || mask.size() == learner.size())
      << mask.size() << " != " << learner.size();
  for (size_t t = 0; t < learner.size(); ++t) {
    if (!mask.empty() && !mask[t]) continue;
    if (!std::isfinite(learner[t]) || !std::isfinite(sampler[t])) continue;
    const double difference = learner[t] - sampler[t];
    const double d = std::clamp(difference, -kMaxLogRatio, kMaxLogRatio);
    const double ratio = std::exp(d);
    const double p = std::exp(learner[t]), q = std::exp(sampler[t]);
    sums[kMismatchTokens] += 1;
    sums[kMismatchKl] += std::expm1(d) - d;
    sums[kMismatchAbs] += std::abs(difference);
    sums[kMismatchError] += std::exp(std::abs(d));
    sums[kMismatchRatioSquared] += ratio * ratio;
    sums[kMismatchP] += p;
    sums[kMismatchQ] += q;
    sums[kMismatchPP] += p * p;
    sums[kMismatchQQ] += q * q;
    sums[kMismatchPQ] += p * q;
    Raise(kMismatchAbsMax, std::abs(difference));
  }
}

std::map<std::string, double> LossStats::Metrics() const {
  std::map<std::string, double> m;
  m["loss"] = sums[kLoss];
  m["policy_loss"] = sums[kPolicyLoss];
  m["kl_loss"] = sums[kKlLoss];
  m["entropy_loss"] = sums[kEntropyLoss];
  m["trained_tokens"] = sums[kTokens];
  m["trained_sequences"] = sums[kSequences];
  m["nonfinite_rollout_logprob"] = sums[kNonfinite];
  m["ratio_clamped"] = sums[kClampedRatio];
  m["kl_clamped"] = sums[kClampedKl];
  if (const double n = sums[kTokens]; n > 0) {
    m["masked_token_fraction"] = 1 - sums[kPolicyTokens] / n;
  }
  if (const double n = sums[kSequences]; n > 0) {
    m["rejected_sequence_fraction"] = sums[kRejectedSequences] / n;
    m["masked_sequence_fraction"] = sums[kSequenceMasked] / n;
  }
  if (const double n = sums[kPolicyTokens]; n > 0) {
    const double mean = sums[kAdvantage] / n;
    m["token_advantage_mean"] = mean;
    m["token_advantage_std"] = std::sqrt(std::max(sums[kAdvantageSquared] / n - mean * mean, 0.0));
  }
  if (const double n = sums[kRatioTokens]; n > 0) {
    m["clip_fraction_low"] = sums[kClipLow] / n;
    m["clip_fraction_high"] = sums[kClipHigh] / n;
    m["clip_fraction"] = (sums[kClipLow] + sums[kClipHigh]) / n;
    m["ratio_mean"] = sums[kRatio] / n;
    m["ratio_max_deviation"] = maxima[kRatioDeviation];
    m["approx_kl"] = sums[kApproxKl] / n;
  }
  if (const double n = sums[kRefTokens]; n > 0) {
    m["kl_to_reference"] = sums[kRefKlK3] / n;
    m["kl_estimate"] = sums[kRefKl] / n;
  }
  if (const double n = sums[kEntropyTokens]; n > 0) m["entropy_mean"] = sums[kEntropy] / n;
  if (const double n = sums[kWeightTokens]; n > 0) {
    const double mean = sums[kWeight] / n;
    m["is_weight_mean"] = mean;
    m["is_weight_std"] = std::sqrt(std::max(sums[kWeightSquared] / n - mean * mean, 0.0));
    m["is_weight_min"] = -maxima[kWeightNegatedMin];
    m["is_weight_max"] = maxima[kWeightMax];
    m["effective_sample_size"] =
        sums[kWeightSquared] > 0 ? sums[kWeight] * sums[kWeight] / (n * sums[kWeightSquared]) : 0;
  }
  if (const double n = sums[kMismatchTokens]; n > 0) {
    m["mismatch_kl"] = sums[kMismatchKl] / n;
    m["logprob_abs_diff_mean"] = sums[kMismatchAbs] / n;
    m["logprob_abs_diff_max"] = maxima[kMismatchAbsMax];
    m["token_mult_prob_error"] = sums[kMismatchError] / n;
    m["chi2_token"] = sums[kMismatchRatioSquared] / n - 1;
    const double pp = sums[kMismatchPP] - sums[kMismatchP] * sums[kMismatchP] / n;
    const double qq = sums[kMismatchQQ] - sums[kMismatchQ] * sums[kMismatchQ] / n;
    const double pq = sums[kMismatchPQ] - sums[kMismatchP] * sums[kMismatchQ] / n;
    if (pp > 0 && qq > 0) m["probability_correlation"] = pq / std::sqrt(pp * qq);
  }
  return m;
}

}  // namespace hone
