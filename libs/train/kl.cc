#include "libs/train/kl.h"

#include <algorithm>
#include <cmath>

#include "libs/base/check.h"

namespace hone {

using v1::KlSpec;

bool KlUsesOld(KlSpec::Estimator estimator) {
  return estimator == KlSpec::ESTIMATOR_UNBIASED || estimator == KlSpec::ESTIMATOR_K1_RHO;
}

KlTerm EvaluateKl(KlSpec::Estimator estimator, double logp, double logp_ref, double logp_old) {
  const double d = logp - logp_ref;
  // Estimators without exp() need no clamp.
  switch (estimator) {
    case KlSpec::ESTIMATOR_K1:
      return {d, 1, false};
    case KlSpec::ESTIMATOR_K2:
      return {0.5 * d * d, d, false};
    case KlSpec::ESTIMATOR_ABS:
      return {std::abs(d), d >= 0 ? 1.0 : -1.0, false};
    default:
      break;
  }
  const double e = std::clamp(-d, -kMaxLogRatio, kMaxLogRatio);
  const double grow = std::expm1(e);  // pi_ref / pi - 1
  const double k3 = grow - e;
  KlTerm term{k3, -grow, e != -d};
  if (KlUsesOld(estimator)) {
    const double log_rho = logp - logp_old;
    const double clamped_rho = std::clamp(log_rho, -kMaxLogRatio, kMaxLogRatio);
    const double rho = std::exp(clamped_rho);
    term.clamped |= clamped_rho != log_rho;
    // For rho * k3 the exponentials cancel: rho * k3 + rho * (1 - exp(e)) = -rho * e.
    if (estimator == KlSpec::ESTIMATOR_UNBIASED) {
      term.value = rho * k3;
      term.coefficient = -rho * e;
    } else {
      term.value = -rho * e;
      term.coefficient = rho * (1 - e);
    }
  } else if (estimator == KlSpec::ESTIMATOR_K3_K2_GRADIENT) {
    term.coefficient = -e;
  } else if (estimator == KlSpec::ESTIMATOR_K3_CLAMPED && k3 > 10) {
    term.value = 10;
    term.coefficient = 0;
  }
  return term;
}

double KlRewardPenalty(const KlSpec& spec, std::span<const double> logp_old,
                       std::span<const double> logp_ref, std::span<const uint8_t> trained) {
  HONE_CHECK(logp_ref.size() == logp_old.size()) << logp_ref.size() << " != " << logp_old.size();
  HONE_CHECK(trained.empty() || trained.size() == logp_old.size())
      << trained.size() << " != " << logp_old.size();
  double sum = 0;
  for (size_t t = 0; t < logp_old.size(); ++t) {
    if (!trained.empty() && !trained[t]) continue;
    sum += EvaluateKl(spec.estimator(), logp_old[t], logp_ref[t], logp_old[t]).value;
  }
  return spec.beta() * sum;
}

}  // namespace hone
