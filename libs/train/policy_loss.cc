#include "libs/train/policy_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status.h"
#include "libs/train/kl.h"

namespace hone {
namespace {

using v1::KlSpec;
using v1::LossSpec;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

absl::Status Bad(absl::string_view field, double value, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", value, "; expected ", expected));
}

absl::Status NotFinite(absl::string_view what, size_t t, size_t n, double value) {
  return absl::OutOfRangeError(
      absl::StrCat(what, " of token ", t, " of ", n, " is ", value, "; expected a finite number"));
}

double OrDefault(double value, double fallback) {
  return value == 0 ? fallback : value;
}

// Of the tokens with a policy term: the logarithm of GSPO's sequence ratio.
double MeanLogRatio(const LossInput& in) {
  const PreparedSequence& s = *in.prepared;
  double sum = 0;
  int64_t counted = 0;
  for (size_t t = 0; t < in.logp.size(); ++t) {
    if (!s.mask_num[t]) continue;
    sum += in.logp[t] - s.logp_old[t];
    ++counted;
  }
  return counted > 0 ? sum / static_cast<double>(counted) : 0;
}

}  // namespace

// Policy loss of one token before weights and denominators.
struct PolicyLoss::Term {
  double value = 0;
  double coefficient = 0;
  double ratio = 1;
  bool clipped_low = false, clipped_high = false;
};

absl::StatusOr<PolicyLoss> PolicyLoss::Create(const LossSpec& loss, const KlSpec& kl,
                                              int64_t max_new_tokens) {
  for (const auto& [name, value] :
       {std::pair<const char*, double>{"loss.clip_low", loss.clip_low()},
        {"loss.clip_high", loss.clip_high()},
        {"loss.dual_clip", loss.dual_clip()},
        {"loss.entropy_coef", loss.entropy_coef()},
        {"loss.ratio_cap", loss.ratio_cap()},
        {"loss.sapo_tau_positive", loss.sapo_tau_positive()},
        {"loss.sapo_tau_negative", loss.sapo_tau_negative()},
        {"kl.beta", kl.beta()}}) {
    if (!std::isfinite(value) || value < 0) return Bad(name, value, "a finite number >= 0");
  }
  if (!LossSpec::Policy_IsValid(loss.policy()))
    return Bad("loss.policy", loss.policy(), "a known policy");
  if (!LossSpec::Aggregation_IsValid(loss.aggregation())) {
    return Bad("loss.aggregation", loss.aggregation(), "a known aggregation");
  }
  if (!KlSpec::Estimator_IsValid(kl.estimator()))
    return Bad("kl.estimator", kl.estimator(), "a known estimator");
  if (!KlSpec::Placement_IsValid(kl.placement()))
    return Bad("kl.placement", kl.placement(), "a known placement");
  const auto policy =
      loss.policy() == LossSpec::POLICY_UNSPECIFIED ? LossSpec::POLICY_CLIP : loss.policy();
  HONE_ASSIGN_OR_RETURN(OffPolicy off_policy, OffPolicy::Create(loss.off_policy(), policy));

  PolicyLoss p(std::move(off_policy));
  p.policy_ = policy;
  if (loss.aggregation() != LossSpec::AGGREGATION_UNSPECIFIED) p.aggregation_ = loss.aggregation();
  p.count_masked_sequences_ = loss.count_masked_sequences();
  p.max_new_tokens_ = max_new_tokens;
  p.clip_low_ = OrDefault(loss.clip_low(), 0.2);
  p.clip_high_ = OrDefault(loss.clip_high(), p.clip_low_);
  p.dual_clip_ = OrDefault(loss.dual_clip(), kInfinity);
  p.ratio_cap_ = OrDefault(loss.ratio_cap(), policy == LossSpec::POLICY_DPPO_TV ? 20 : kInfinity);
  p.sapo_tau_positive_ = OrDefault(loss.sapo_tau_positive(), 1.0);
  p.sapo_tau_negative_ = OrDefault(loss.sapo_tau_negative(), 1.05);
  p.entropy_coef_ = loss.entropy_coef();
  if (kl.estimator() != KlSpec::ESTIMATOR_UNSPECIFIED) p.estimator_ = kl.estimator();
  p.beta_ = kl.beta();
  p.kl_in_loss_ = kl.beta() > 0 && kl.placement() != KlSpec::PLACEMENT_REWARD;

  if (p.aggregation_ == LossSpec::AGGREGATION_CONST_NORM && max_new_tokens <= 0) {
    return Bad("sampling.max_new_tokens", static_cast<double>(max_new_tokens),
               "> 0, because AGGREGATION_CONST_NORM divides by it");
  }
  if (loss.dual_clip() != 0 && policy != LossSpec::POLICY_CLIP) {
    return Bad("loss.dual_clip", loss.dual_clip(), "0 unless the policy is POLICY_CLIP");
  }
  if (p.dual_clip_ <= 1) return Bad("loss.dual_clip", loss.dual_clip(), "more than 1");
  if (loss.ratio_cap() != 0 && policy != LossSpec::POLICY_CLIP &&
      policy != LossSpec::POLICY_DPPO_TV) {
    return Bad("loss.ratio_cap", loss.ratio_cap(),
               "0 unless the policy is POLICY_CLIP or POLICY_DPPO_TV");
  }
  if (policy == LossSpec::POLICY_CLIP && p.ratio_cap_ <= 1 + p.clip_high_) {
    return Bad("loss.ratio_cap", loss.ratio_cap(),
               absl::StrCat("more than 1 + clip_high, ", 1 + p.clip_high_));
  }
  return p;
}

Denominators PolicyLoss::Divide(const BatchCounts& global) const {
  return Denominators(aggregation_, count_masked_sequences_, max_new_tokens_, global);
}

// `log_ratio` is logp - logp_old, for GSPO its mean over the sequence.
PolicyLoss::Term PolicyLoss::TokenTerm(double logp, double logp_old, double log_ratio,
                                       double advantage) const {
  const double a = advantage;
  Term term;
  if (policy_ == LossSpec::POLICY_REINFORCE) {
    term.value = -a * logp;
    term.coefficient = -a;
    return term;
  }
  const bool inside = std::abs(log_ratio) <= kMaxLogRatio;
  const double r = std::exp(std::clamp(log_ratio, -kMaxLogRatio, kMaxLogRatio));
  const double low = 1 - clip_low_, high = 1 + clip_high_;
  term.ratio = r;
  // Counted by sign: only on these sides does clipping take the gradient away.
  term.clipped_low = a < 0 && r < low;
  term.clipped_high = a > 0 && r > high;
  switch (policy_) {
    case LossSpec::POLICY_CISPO: {
      const double w = std::clamp(r, low, high);
      term.value = -w * a * logp;
      term.coefficient = -w * a;
      break;
    }
    case LossSpec::POLICY_SAPO: {
      const double tau = a > 0 ? sapo_tau_positive_ : sapo_tau_negative_;
      const double gate = 1 / (1 + std::exp(-tau * (r - 1)));
      term.value = -a * gate * 4 / tau;
      if (inside) term.coefficient = -a * 4 * gate * (1 - gate) * r;
      break;
    }
    case LossSpec::POLICY_DPPO_TV: {
      // The trust region is in probability, so that rare tokens are not clipped for tiny moves.
      const double moved = std::exp(logp) - std::exp(logp_old);
      term.clipped_low = a <= 0 && moved < -clip_low_;
      term.clipped_high = a > 0 && moved > clip_high_;
      if (term.clipped_low || term.clipped_high) break;
      const double w = std::min(r, ratio_cap_);
      term.value = -w * a * logp;
      term.coefficient = -w * a;
      break;
    }
    default: {  // CLIP and GSPO
      double surrogate = std::min(std::min(r, ratio_cap_) * a, std::clamp(r, low, high) * a);
      bool flat = term.clipped_low || term.clipped_high;
      if (a < 0) {
        flat |= r > ratio_cap_ || r > dual_clip_;
        if (std::isfinite(dual_clip_)) surrogate = std::max(surrogate, dual_clip_ * a);
      }
      term.value = -surrogate;
      // On the bounds themselves the gradient is still whole.
      if (!flat && inside) term.coefficient = -a * r;
    }
  }
  return term;
}

bool PolicyLoss::SequenceMasked(const LossInput& in) const {
  if (off_policy_.sequence_mask_delta() == 0) return false;
  const PreparedSequence& s = *in.prepared;
  double sum = 0;
  int64_t counted = 0;
  for (size_t t = 0; t < in.logp.size(); ++t) {
    if (!s.mask_den[t] || !std::isfinite(s.logp_sampler[t])) continue;
    sum += s.logp_sampler[t] - in.logp[t];
    ++counted;
  }
  return counted > 0 && sum / static_cast<double>(counted) > off_policy_.sequence_mask_delta();
}

absl::Status PolicyLoss::CheckFinite(const LossInput& in) const {
  const PreparedSequence& s = *in.prepared;
  const size_t n = in.logp.size();
  for (size_t t = 0; t < n; ++t) {
    if (!s.mask_den[t]) continue;
    if (!std::isfinite(in.logp[t])) return NotFinite("policy logprob", t, n, in.logp[t]);
    if (!std::isfinite(in.advantage[t])) return NotFinite("advantage", t, n, in.advantage[t]);
    if (!in.logp_ref.empty() && !std::isfinite(in.logp_ref[t])) {
      return NotFinite("reference logprob", t, n, in.logp_ref[t]);
    }
    if (!in.entropy.empty() && !std::isfinite(in.entropy[t]))
      return NotFinite("entropy", t, n, in.entropy[t]);
  }
  return absl::OkStatus();
}

absl::StatusOr<SequenceLoss> PolicyLoss::Evaluate(const LossInput& in,
                                                  const Denominators& denominators,
                                                  std::span<double> coefficient,
                                                  LossStats* stats) const {
  const PreparedSequence& s = *in.prepared;
  const size_t n = in.logp.size();
  HONE_CHECK(s.mask_den.size() == n)
      << s.mask_den.size() << " prepared tokens, " << n << " logprobs";
  HONE_CHECK(in.advantage.size() == n)
      << in.advantage.size() << " advantages, " << n << " logprobs";
  HONE_CHECK(in.logp_ref.empty() || in.logp_ref.size() == n) << in.logp_ref.size() << " != " << n;
  HONE_CHECK(in.entropy.empty() || in.entropy.size() == n) << in.entropy.size() << " != " << n;
  HONE_CHECK(coefficient.size() == n) << coefficient.size() << " != " << n;
  if (kl_in_loss_ && in.logp_ref.empty() && n > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("kl.beta is ", beta_, " but the reference's logprobs are missing"));
  }
  // First look at everything, then write: a step that must be dropped leaves no trace.
  HONE_RETURN_IF_ERROR(CheckFinite(in));

  auto& sums = stats->sums;
  const double token_weight = denominators.TokenWeight(s.tokens);
  const bool sequence_masked = SequenceMasked(in);
  const bool gspo = policy_ == LossSpec::POLICY_GSPO;
  std::vector<double> current_weight;
  if (off_policy_.weighs_current_policy()) {
    current_weight = off_policy_.Weights(in.logp, s.logp_old, s.mask_num, stats);
  }
  const double mean_log_ratio = gspo ? MeanLogRatio(in) : 0;

  double policy_loss = 0, kl_loss = 0, entropy_loss = 0;
  bool masked_any = false;
  for (size_t t = 0; t < n; ++t) {
    coefficient[t] = 0;
    if (!s.mask_den[t]) continue;
    const bool old_known = std::isfinite(s.logp_old[t]);
    if (s.mask_num[t]) {
      const double a = in.advantage[t];
      const double token_log_ratio = old_known ? in.logp[t] - s.logp_old[t] : 0;
      const double log_ratio = gspo ? mean_log_ratio : token_log_ratio;
      const Term term = TokenTerm(in.logp[t], s.logp_old[t], log_ratio, a);
      const bool masked = sequence_masked && a < 0;
      masked_any |= masked;
      double w = s.weight[t];
      if (!current_weight.empty()) w *= current_weight[t];
      if (masked) w = 0;
      policy_loss += token_weight * w * term.value;
      coefficient[t] += token_weight * w * term.coefficient;
      sums[LossStats::kPolicyTokens] += w != 0;
      sums[LossStats::kAdvantage] += w != 0 ? a : 0;
      sums[LossStats::kAdvantageSquared] += w != 0 ? a * a : 0;
      if (old_known) {
        // The ratio that the loss looked at, but the divergence of the tokens themselves.
        const double d = std::clamp(token_log_ratio, -kMaxLogRatio, kMaxLogRatio);
        const double r = policy_ == LossSpec::POLICY_REINFORCE ? std::exp(d) : term.ratio;
        sums[LossStats::kRatioTokens] += 1;
        sums[LossStats::kRatio] += r;
        sums[LossStats::kApproxKl] += std::expm1(d) - d;
        sums[LossStats::kClipLow] += term.clipped_low;
        sums[LossStats::kClipHigh] += term.clipped_high;
        sums[LossStats::kClampedRatio] += std::abs(log_ratio) > kMaxLogRatio;
        stats->Raise(LossStats::kRatioDeviation, std::abs(r - 1));
      }
    }
    if (!in.logp_ref.empty() && (old_known || !KlUsesOld(estimator_))) {
      const KlTerm kl = EvaluateKl(estimator_, in.logp[t], in.logp_ref[t], s.logp_old[t]);
      const double e = std::clamp(in.logp_ref[t] - in.logp[t], -kMaxLogRatio, kMaxLogRatio);
      sums[LossStats::kRefTokens] += 1;
      sums[LossStats::kRefKl] += kl.value;
      sums[LossStats::kRefKlK3] += std::expm1(e) - e;
      sums[LossStats::kClampedKl] += kl.clamped;
      if (kl_in_loss_) {
        kl_loss += beta_ * token_weight * kl.value;
        coefficient[t] += beta_ * token_weight * kl.coefficient;
      }
    }
    if (!in.entropy.empty()) {
      sums[LossStats::kEntropyTokens] += 1;
      sums[LossStats::kEntropy] += in.entropy[t];
      entropy_loss -= entropy_coef_ * token_weight * in.entropy[t];
    }
  }
  SequenceLoss result;
  result.value = policy_loss + kl_loss + entropy_loss;
  result.entropy_coefficient = -entropy_coef_ * token_weight;
  sums[LossStats::kLoss] += result.value;
  sums[LossStats::kPolicyLoss] += policy_loss;
  sums[LossStats::kKlLoss] += kl_loss;
  sums[LossStats::kEntropyLoss] += entropy_loss;
  sums[LossStats::kSequences] += 1;
  sums[LossStats::kTokens] += static_cast<double>(s.tokens);
  sums[LossStats::kSequenceMasked] += masked_any;
  return result;
}

}  // namespace hone
