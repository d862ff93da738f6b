#include "tests/train/golden.h"

#include <cmath>
#include <random>

#include "libs/train/advantage.h"
#include "libs/train/kl.h"
#include "libs/train/pass_at_k.h"

namespace hone {
namespace {

using testing::Golden;
using testing::Near;

std::vector<ScoredSample> Samples(const std::vector<double>& rewards) {
  std::vector<ScoredSample> samples;
  for (double r : rewards) samples.push_back({r, false});
  return samples;
}

AdvantageEstimator Preset(const char* name) {
  v1::AdvantageSpec spec;
  spec.set_preset(name);
  auto e = AdvantageEstimator::Create(spec, v1::TRUNCATION_MODE_KEEP, 2, 1);
  REQUIRE_OK(e);
  return *e;
}

std::vector<double> Advantages(const char* preset, const std::vector<double>& rewards) {
  return Preset(preset)
      .Compute(std::vector<std::vector<ScoredSample>>{Samples(rewards)})[0]
      .advantage;
}

TEST_CASE("advantage presets equal the goldens", "[train]") {
  const std::pair<const char*, const char*> presets[] = {
      {"paper_pop_std_eps0", "deepseekmath"},
      {"verl_bessel_eps1e-6", "verl"},
      {"verl_bessel_eps1e-6", "slime"},
      {"trl_bessel_eps1e-4", "trl"},
      {"openrlhf_bessel_eps1e-9", "openrlhf"},
      {"open_instruct_pop_eps1e-8", "open_instruct_std"},
      {"drgrpo_center", "dr_grpo"},
      {"drgrpo_center", "v3_2"},
      {"drgrpo_center", "prime_rl"},
      {"drgrpo_center", "open_instruct"},
      {"rloo", "rloo"}};
  int patterns = 0;
  for (const auto& [pattern, want] : Golden()["advantages"].items()) {
    if (pattern == "F1_batch_std_trl") continue;
    ++patterns;
    for (const auto& [column, preset] : presets) {
      CAPTURE(pattern, preset);
      CHECK(Near(Advantages(preset, want["rewards"]), want[column]));
    }
  }
  CHECK(patterns == 7);
}

TEST_CASE("batch deviation with group means equals the golden", "[train]") {
  const auto& want = Golden()["advantages"]["F1_batch_std_trl"];
  const std::vector<double> r = want["rewards"];
  const auto results = Preset("trl_batch")
                           .Compute(std::vector{Samples({r.begin(), r.begin() + 4}),
                                                Samples({r.begin() + 4, r.end()})});
  std::vector<double> got = results[0].advantage;
  got.insert(got.end(), results[1].advantage.begin(), results[1].advantage.end());
  CHECK(Near(got, want["adv"]));
}

TEST_CASE("equal rewards give exactly zero where a float32 deviation would not", "[train]") {
  int hazards = 0;
  for (const auto& [name, naive] : Golden()["zero_variance_float32_hazard"].items()) {
    double reward = 0, eps = 0;
    int group = 0;
    REQUIRE(std::sscanf(name.c_str(), "r=%lf,G=%d,eps=%lf", &reward, &group, &eps) == 3);
    v1::AdvantageSpec spec;
    spec.set_eps(eps);
    spec.set_ddof(1);
    auto e = AdvantageEstimator::Create(spec, v1::TRUNCATION_MODE_KEEP, group, 0);
    REQUIRE_OK(e);
    const auto result = e->Compute(
        std::vector<std::vector<ScoredSample>>{Samples(std::vector<double>(group, reward))})[0];
    CAPTURE(name);
    CHECK(result.zero_variance);
    CHECK_FALSE(result.dropped);
    for (double a : result.advantage) CHECK(a == 0);
    hazards += std::abs(naive["adv"].get<double>()) > 0.01;
  }
  CHECK(hazards > 5);  // the golden does hold cases that this guards against
}

TEST_CASE("KL estimators equal the goldens in value and coefficient", "[train]") {
  const std::pair<const char*, v1::KlSpec::Estimator> names[] = {
      {"k1", v1::KlSpec::ESTIMATOR_K1},
      {"k2", v1::KlSpec::ESTIMATOR_K2},
      {"k3", v1::KlSpec::ESTIMATOR_K3},
      {"abs", v1::KlSpec::ESTIMATOR_ABS},
      {"k3_unbiased_v32", v1::KlSpec::ESTIMATOR_UNBIASED},
      {"k1_times_rho", v1::KlSpec::ESTIMATOR_K1_RHO},
      {"k3_verl_clamped", v1::KlSpec::ESTIMATOR_K3_CLAMPED}};
  int checked = 0;
  for (const auto& [point, want] : Golden()["kl"].items()) {
    double theta = 0, ref = 0, old = 0;
    REQUIRE(std::sscanf(point.c_str(), "theta=%lf,ref=%lf,old=%lf", &theta, &ref, &old) == 3);
    CHECK(want.size() == std::size(names));
    for (const auto& [name, estimator] : names) {
      CAPTURE(point, name);
      const KlTerm got = EvaluateKl(estimator, theta, ref, old);
      CHECK(Near(got.value, want[name]["value"]));
      CHECK(Near(got.coefficient, want[name]["dlogp_theta"]));
      ++checked;
    }
  }
  CHECK(checked == 35);
}

std::vector<double> Softmax(std::vector<double> z) {
  double sum = 0;
  for (double& v : z) sum += v = std::exp(v);
  for (double& v : z) v /= sum;
  return z;
}

TEST_CASE("KL estimators have the expectations and gradients that the table promises", "[train]") {
  const auto& want = Golden()["kl_expectation"];
  const auto p = Softmax(want["logits_theta"]), q = Softmax(want["logits_ref"]),
             o = Softmax(want["logits_old"]);
  const auto term = [&](v1::KlSpec::Estimator e, int a) {
    return EvaluateKl(e, std::log(p[a]), std::log(q[a]), std::log(o[a]));
  };
  const auto value = [&](const std::vector<double>& from, v1::KlSpec::Estimator e) {
    double sum = 0;
    for (int a = 0; a < 3; ++a) sum += from[a] * term(e, a).value;
    return sum;
  };
  const auto gradient = [&](const std::vector<double>& from, v1::KlSpec::Estimator e) {
    std::vector<double> g(3, 0.0);
    for (int j = 0; j < 3; ++j) {
      for (int a = 0; a < 3; ++a) g[j] += from[a] * term(e, a).coefficient * ((a == j) - p[j]);
    }
    return g;
  };
  const auto k1 = v1::KlSpec::ESTIMATOR_K1, k2 = v1::KlSpec::ESTIMATOR_K2,
             k3 = v1::KlSpec::ESTIMATOR_K3, unbiased = v1::KlSpec::ESTIMATOR_UNBIASED;
  CHECK(Near(value(p, k1), want["E_theta[k1]"]));
  CHECK(Near(value(p, k2), want["E_theta[k2]"]));
  CHECK(Near(value(p, k3), want["E_theta[k3]"]));
  CHECK(Near(value(o, k3), want["E_old[k3]"]));
  CHECK(Near(value(o, unbiased), want["KL_theta_ref"]));
  CHECK(Near(gradient(p, k1), want["E_theta[grad k1]"]));
  CHECK(Near(gradient(p, k2), want["grad_KL_exact"]));
  CHECK(Near(gradient(p, k3), want["E_theta[grad k3]"]));
  CHECK(Near(gradient(p, k3), want["grad_KL(ref||theta)_exact (what grad k3 equals)"]));
  CHECK(Near(gradient(o, unbiased), want["grad_KL_exact"]));
  CHECK(Near(gradient(o, v1::KlSpec::ESTIMATOR_K1_RHO), want["grad_KL_exact"]));
  CHECK(Near(gradient(p, v1::KlSpec::ESTIMATOR_K3_K2_GRADIENT), want["grad_KL_exact"]));
  CHECK(Near(value(p, v1::KlSpec::ESTIMATOR_K3_K2_GRADIENT), want["KL_theta_ref"]));
}

TEST_CASE("pass@k equals the goldens", "[train]") {
  for (const auto& [name, want] : Golden()["pass_at_k"].items()) {
    int n = 0, c = 0, k = 0;
    REQUIRE(std::sscanf(name.c_str(), "n=%d,c=%d,k=%d", &n, &c, &k) == 3);
    CAPTURE(name);
    CHECK(Near(PassAtK(n, c, k), want));
  }
}

TEST_CASE("the golden's vote is won by the most frequent answer", "[train]") {
  const std::vector<std::string> answers = Golden()["voting"]["answers"];
  std::vector<int> classes;
  std::vector<uint8_t> right, wrong;
  for (const auto& a : answers) {
    classes.push_back(std::stoi(a));
    right.push_back(a == Golden()["voting"]["maj"]);
    wrong.push_back(a == "7");
  }
  CHECK(MajorityAtK(classes, right) == 1);
  CHECK(MajorityAtK(classes, wrong) == 0);
}

// One logit, one token: mean over groups of (1/G) sum_i A_i d logp_i / d logit, with its standard
// error.
struct Estimate {
  double mean, error;
};
Estimate BanditGradient(const char* preset, double p, int group, int groups,
                        std::mt19937_64* random) {
  const AdvantageEstimator estimator = Preset(preset);
  std::bernoulli_distribution draw(p);
  double sum = 0, squares = 0;
  std::vector<ScoredSample> samples(group);
  for (int g = 0; g < groups; ++g) {
    for (auto& s : samples) s.reward = draw(*random);
    const auto result = estimator.Compute(std::span(&samples, 1))[0];
    double step = 0;
    for (int i = 0; i < group; ++i) step += result.advantage[i] * (*samples[i].reward - p);
    step /= group;
    sum += step;
    squares += step * step;
  }
  const double mean = sum / groups;
  return {mean, std::sqrt((squares / groups - mean * mean) / groups)};
}

TEST_CASE("the Bernoulli bandit's gradient is within 4 standard errors of the closed form",
          "[train]") {
  const std::pair<const char*, const char*> kinds[] = {
      {"grpo_popstd", "deepseekmath"}, {"center", "dr_grpo"}, {"rloo", "rloo"}};
  std::mt19937_64 random(20240229);
  for (const auto& [name, want] : Golden()["bernoulli_bandit"]["expected_dJ_dlogit"].items()) {
    double p = 0;
    int group = 0;
    REQUIRE(std::sscanf(name.c_str(), "p=%lf,G=%d", &p, &group) == 2);
    for (const auto& [kind, preset] : kinds) {
      const Estimate got = BanditGradient(preset, p, group, 20000, &random);
      CAPTURE(name, kind, got.mean, got.error);
      CHECK(std::abs(got.mean - want[kind].get<double>()) < 4 * got.error);
    }
  }
}

TEST_CASE("the Bernoulli bandit's expectation is exact when all outcomes are enumerated",
          "[train]") {
  const std::pair<const char*, const char*> kinds[] = {
      {"grpo_popstd", "deepseekmath"}, {"center", "dr_grpo"}, {"rloo", "rloo"}};
  for (const auto& [name, want] : Golden()["bernoulli_bandit"]["expected_dJ_dlogit"].items()) {
    double p = 0;
    int group = 0;
    REQUIRE(std::sscanf(name.c_str(), "p=%lf,G=%d", &p, &group) == 2);
    for (const auto& [kind, preset] : kinds) {
      double expectation = 0;
      for (int k = 0; k <= group; ++k) {
        std::vector<double> rewards(group, 0.0);
        std::fill(rewards.begin(), rewards.begin() + k, 1.0);
        const auto a = Advantages(preset, rewards);
        double step = 0;
        for (int i = 0; i < group; ++i) step += a[i] * (rewards[i] - p) / group;
        const double log_chance = std::lgamma(group + 1) - std::lgamma(k + 1) -
                                  std::lgamma(group - k + 1) + k * std::log(p) +
                                  (group - k) * std::log1p(-p);
        expectation += std::exp(log_chance) * step;
      }
      CAPTURE(name, kind);
      CHECK(Near(expectation, want[kind].get<double>(), 1e-11));
    }
  }
}

}  // namespace
}  // namespace hone
