#include "libs/train/kl.h"

#include <cmath>

#include "tests/train/golden.h"

namespace hone {
namespace {

using testing::Near;
using v1::KlSpec;

TEST_CASE("a huge log-ratio is clamped and reported, never infinite", "[train]") {
  for (auto e : {KlSpec::ESTIMATOR_K3, KlSpec::ESTIMATOR_UNBIASED, KlSpec::ESTIMATOR_K1_RHO,
                 KlSpec::ESTIMATOR_K3_K2_GRADIENT, KlSpec::ESTIMATOR_K3_CLAMPED}) {
    for (double logp : {-1000.0, 0.0}) {
      const KlTerm t = EvaluateKl(e, logp, -500, -500);
      CHECK(t.clamped);
      CHECK(std::isfinite(t.value));
      CHECK(std::isfinite(t.coefficient));
    }
    CHECK_FALSE(EvaluateKl(e, -1, -20.5, -2).clamped);
  }
  CHECK(Near(EvaluateKl(KlSpec::ESTIMATOR_K3, -1000, -1, 0).value, std::exp(20.0) - 21));
}

TEST_CASE("k3 keeps its digits near zero", "[train]") {
  const double e = 1e-7;
  CHECK(Near(EvaluateKl(KlSpec::ESTIMATOR_K3, -1, -1 + e, 0).value / (e * e / 2), 1, 1e-2));
  CHECK(EvaluateKl(KlSpec::ESTIMATOR_K3, -0.3, -0.3, 0).value == 0);
  CHECK(EvaluateKl(KlSpec::ESTIMATOR_K3, -0.3, -0.3, 0).coefficient == 0);
}

TEST_CASE("coefficients are the derivatives of the values", "[train]") {
  const double h = 1e-5;
  for (auto e :
       {KlSpec::ESTIMATOR_K1, KlSpec::ESTIMATOR_K2, KlSpec::ESTIMATOR_K3, KlSpec::ESTIMATOR_ABS,
        KlSpec::ESTIMATOR_UNBIASED, KlSpec::ESTIMATOR_K1_RHO, KlSpec::ESTIMATOR_K3_CLAMPED}) {
    for (double logp : {-3.0, -1.5, -0.1}) {
      const auto value = [&](double x) { return EvaluateKl(e, x, -1.1, -1.3).value; };
      const double slope = (value(logp + h) - value(logp - h)) / (2 * h);
      CAPTURE(static_cast<int>(e), logp);
      CHECK(Near(EvaluateKl(e, logp, -1.1, -1.3).coefficient, slope, 1e-8));
    }
  }
}

TEST_CASE("the reward's penalty sums the estimator over trained tokens", "[train]") {
  KlSpec spec;
  spec.set_beta(0.1);
  spec.set_estimator(KlSpec::ESTIMATOR_K1);
  const std::vector<double> old{-1, -2, -3}, ref{-1.5, -1.8, -9};
  CHECK(Near(KlRewardPenalty(spec, old, ref, {}), 0.1 * (0.5 - 0.2 + 6)));
  CHECK(Near(KlRewardPenalty(spec, old, ref, std::vector<uint8_t>{1, 1, 0}), 0.1 * (0.5 - 0.2)));
  CHECK(KlRewardPenalty(spec, {}, {}, {}) == 0);
}

}  // namespace
}  // namespace hone
