#include "libs/train/policy_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "google/protobuf/text_format.h"
#include "tests/train/minibatch.h"

namespace hone {
namespace {

using testing::FixtureF1;
using testing::MakeLoss;
using testing::Minibatch;
using testing::Near;
using testing::Rows;
using testing::Run;
using v1::KlSpec;
using v1::LossSpec;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

LossSpec Spec(const char* text) {
  LossSpec s;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &s));
  return s;
}

KlSpec Kl(const char* text) {
  KlSpec s;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &s));
  return s;
}

LossSpec WithAggregation(LossSpec::Aggregation a) {
  LossSpec s;
  s.set_aggregation(a);
  return s;
}

const LossSpec::Aggregation kAggregations[] = {
    LossSpec::AGGREGATION_TOKEN_MEAN, LossSpec::AGGREGATION_SEQ_MEAN_TOKEN_MEAN,
    LossSpec::AGGREGATION_SEQ_MEAN_TOKEN_SUM, LossSpec::AGGREGATION_CONST_NORM,
    LossSpec::AGGREGATION_TOKEN_SUM};

TEST_CASE("the loss does not depend on how a minibatch is cut over ranks or ordered", "[train]") {
  for (auto aggregation : kAggregations) {
    const PolicyLoss loss = MakeLoss(WithAggregation(aggregation), Kl("beta: 0.04"));
    const Minibatch b = FixtureF1(false);
    const auto whole = Run(loss, b);
    REQUIRE_OK(whole.status);
    std::mt19937 random(7);
    for (size_t ranks : {1, 2, 4}) {
      std::vector<size_t> order{0, 1, 2, 3, 4, 5, 6, 7};
      std::shuffle(order.begin(), order.end(), random);
      const auto cut = Run(loss, b, order, ranks);
      REQUIRE_OK(cut.status);
      CHECK(cut.c == whole.c);  // the same division, so the same bits
      CHECK(Near(cut.loss, whole.loss));
      const auto want = whole.stats.Metrics();
      for (const auto& [name, value] : cut.stats.Metrics()) {
        CAPTURE(name);
        CHECK(Near(value, want.at(name)));
      }
    }
  }
}

TEST_CASE("coefficients are the derivatives of the loss", "[train]") {
  const char* specs[] = {"",
                         "dual_clip: 1.5",
                         "ratio_cap: 1.5",
                         "clip_low: 10",
                         "policy: POLICY_SAPO",
                         "policy: POLICY_GSPO",
                         "policy: POLICY_GSPO aggregation: AGGREGATION_SEQ_MEAN_TOKEN_MEAN",
                         "policy: POLICY_REINFORCE"};
  const double h = 1e-6;
  for (const char* text : specs) {
    const PolicyLoss loss = MakeLoss(Spec(text), Kl("beta: 0.04 estimator: ESTIMATOR_UNBIASED"));
    Minibatch b = FixtureF1(false);
    const auto at = Run(loss, b);
    for (size_t i = 0; i < b.theta.size(); ++i) {
      for (size_t t = 0; t < b.theta[i].size(); ++t) {
        const double x = b.theta[i][t];
        b.theta[i][t] = x + h;
        const double up = Run(loss, b).loss;
        b.theta[i][t] = x - h;
        const double down = Run(loss, b).loss;
        b.theta[i][t] = x;
        CAPTURE(text, i, t);
        CHECK(Near(at.c[i][t], (up - down) / (2 * h), 1e-8));
      }
    }
  }
}

TEST_CASE("on policy every ratio loss has the gradient of REINFORCE", "[train]") {
  Minibatch b = FixtureF1(false);
  b.sampler = b.theta;
  b.ref = b.theta;
  const auto want = Run(MakeLoss(Spec("policy: POLICY_REINFORCE")), b);
  for (const char* text : {"", "dual_clip: 3", "ratio_cap: 4", "clip_low: 10",
                           "policy: POLICY_CISPO", "policy: POLICY_SAPO sapo_tau_negative: 1",
                           "policy: POLICY_DPPO_TV", "off_policy { sequence_mask_delta: 0.01 }"}) {
    const auto got = Run(MakeLoss(Spec(text), Kl("beta: 0.1")), b);
    CAPTURE(text);
    CHECK(Near(got.c, want.c));
    const auto m = got.stats.Metrics();
    CHECK(m.at("ratio_max_deviation") == 0);
    CHECK(m.at("clip_fraction") == 0);
    CHECK(m.at("approx_kl") == 0);
    CHECK(m.at("kl_to_reference") == 0);
    CHECK(m.at("kl_loss") == 0);
  }
  // GSPO weighs tokens as its sequence mean does.
  const auto seq = [](const char* policy) {
    LossSpec s = Spec(policy);
    s.set_aggregation(LossSpec::AGGREGATION_SEQ_MEAN_TOKEN_MEAN);
    return MakeLoss(s);
  };
  CHECK(Near(Run(seq("policy: POLICY_GSPO"), b).c, Run(seq("policy: POLICY_REINFORCE"), b).c));
}

TEST_CASE("the ratio loss's value on policy is minus the aggregated advantage", "[train]") {
  Minibatch b = FixtureF1(false);
  b.sampler = b.theta;
  double sum = 0;
  for (size_t i = 0; i < b.theta.size(); ++i)
    sum += b.advantage[i] * static_cast<double>(b.theta[i].size());
  CHECK(Near(Run(MakeLoss({}), b).loss, -sum / 16));
}

TEST_CASE("an empty completion and a masked one leave no trace but their place in the counts",
          "[train]") {
  for (auto aggregation : kAggregations) {
    for (bool count : {false, true}) {
      LossSpec spec = WithAggregation(aggregation);
      spec.set_count_masked_sequences(count);
      Minibatch b = FixtureF1(false);
      for (const auto& row : b.theta) b.trained.push_back(std::vector<uint8_t>(row.size(), 1));
      b.trained[0].assign(3, 0);
      b.theta[0][1] = kNan;  // what is masked is never read
      b.sampler[0][0] = kNan;
      const auto r = Run(MakeLoss(spec, Kl("beta: 0.1")), b);
      REQUIRE_OK(r.status);
      CHECK(r.c[0] == std::vector{0.0, 0.0, 0.0});
      CHECK(r.c[7].empty());
      CHECK(std::isfinite(r.loss));
      CHECK(r.c[2][0] != 0);
      CHECK(r.stats.Metrics().at("nonfinite_rollout_logprob") == 0);
      const bool by_sequences = aggregation == LossSpec::AGGREGATION_SEQ_MEAN_TOKEN_SUM;
      if (by_sequences)
        CHECK(Near(Denominators(aggregation, count, 4,
                                [] {
                                  BatchCounts c;
                                  for (int64_t n : {0, 2, 4, 1, 2, 1, 3, 0}) c.AddSequence(n);
                                  return c;
                                }())
                       .TokenWeight(4),
                   count ? 1.0 / 8 : 1.0 / 6));
    }
  }
}

TEST_CASE("a minibatch without a trained token is to be skipped and divides nothing by zero",
          "[train]") {
  for (auto aggregation : kAggregations) {
    for (bool count : {false, true}) {
      LossSpec spec = WithAggregation(aggregation);
      spec.set_count_masked_sequences(count);
      spec.set_entropy_coef(0.1);
      Minibatch b = FixtureF1(false);
      for (const auto& row : b.theta) b.trained.push_back(std::vector<uint8_t>(row.size(), 0));
      const auto r = Run(MakeLoss(spec, Kl("beta: 0.1")), b);
      REQUIRE_OK(r.status);
      CHECK(r.skip);
      CHECK(r.loss == 0);
      for (const auto& row : r.c) CHECK(row == std::vector<double>(row.size(), 0.0));
      for (double e : r.entropy_coefficient) CHECK(e == 0);
      for (const auto& [name, value] : r.stats.Metrics()) {
        CAPTURE(name);
        CHECK(std::isfinite(value));
      }
    }
  }
  CHECK(Run(MakeLoss({}), {}).skip);
  CHECK_FALSE(Run(MakeLoss({}), FixtureF1(false)).skip);
}

TEST_CASE("a non-finite logprob of the learner or the reference fails the step and writes nothing",
          "[train]") {
  for (double bad : {kNan, -kInf, kInf}) {
    const PolicyLoss loss = MakeLoss(Spec("entropy_coef: 0.1"), Kl("beta: 0.1"));
    for (int which = 0; which < 4; ++which) {
      Minibatch b = FixtureF1(false);
      b.entropy = b.theta;
      (which == 0   ? b.theta[2][3]
       : which == 1 ? b.ref[2][3]
       : which == 2 ? b.entropy[2][3]
                    : b.advantage[2]) = bad;
      LossStats ignored;
      auto prepared = loss.Prepare(b.sampler[2], {}, {}, &ignored);
      REQUIRE_OK(prepared);
      BatchCounts counts;
      counts.AddSequence(4);
      LossStats stats;
      std::vector<double> c(4, 777.0);
      const std::vector<double> advantage(4, b.advantage[2]);
      LossInput in{&*prepared, b.theta[2], advantage, b.ref[2], b.entropy[2]};
      const auto r = loss.Evaluate(in, loss.Divide(counts), c, &stats);
      CHECK_CODE(r, absl::StatusCode::kOutOfRange);
      CHECK(std::string(r.status().message()).find(which == 3 ? "token 0 of 4" : "token 3 of 4") !=
            std::string::npos);
      CHECK(c == std::vector<double>(4, 777.0));
      CHECK(stats.sums == LossStats().sums);
    }
  }
}

TEST_CASE("a loss with a KL term refuses to run without a reference", "[train]") {
  Minibatch b = FixtureF1(false);
  b.ref.clear();
  CHECK_CODE(Run(MakeLoss({}, Kl("beta: 0.1")), b).status, absl::StatusCode::kFailedPrecondition);
  CHECK_OK(Run(MakeLoss({}, Kl("beta: 0.1 placement: PLACEMENT_REWARD")), b).status);
  CHECK_OK(Run(MakeLoss({}, Kl("monitor: true")), b).status);
  CHECK(MakeLoss({}, Kl("beta: 0.1")).needs_reference());
  CHECK_FALSE(MakeLoss({}, Kl("beta: 0.1 placement: PLACEMENT_REWARD")).needs_reference());
}

TEST_CASE("a monitored reference is measured but has no part in the loss", "[train]") {
  Minibatch b = FixtureF1(false);
  const auto with = Run(MakeLoss({}, Kl("monitor: true")), b);
  b.ref.clear();
  const auto without = Run(MakeLoss({}, Kl("monitor: true")), b);
  CHECK(with.c == without.c);
  CHECK(with.stats.Metrics().at("kl_to_reference") > 0);
  CHECK(without.stats.Metrics().count("kl_to_reference") == 0);
}

TEST_CASE("clip fractions are counted by the sign of the advantage", "[train]") {
  // Ratios 1.5, 0.5, 1.5, 0.5 with advantages +, +, -, -.
  Minibatch b;
  b.sampler = {{-1}, {-1}, {-1}, {-1}};
  b.theta = {
      {-1 + std::log(1.5)}, {-1 + std::log(0.5)}, {-1 + std::log(1.5)}, {-1 + std::log(0.5)}};
  b.advantage = {1, 1, -1, -1};
  const auto r = Run(MakeLoss({}), b);
  const auto m = r.stats.Metrics();
  CHECK(m.at("clip_fraction_high") == 0.25);
  CHECK(m.at("clip_fraction_low") == 0.25);
  CHECK(m.at("clip_fraction") == 0.5);
  CHECK(Near(m.at("ratio_mean"), 1));
  CHECK(Near(m.at("ratio_max_deviation"), 0.5));
  CHECK(Near(m.at("approx_kl"), (0.5 - std::log(1.5) - 0.5 - std::log(0.5)) / 2));
  CHECK(r.c[0][0] == 0);
  CHECK(r.c[3][0] == 0);
  CHECK(Near(r.c[1][0], -0.5 / 4));
  CHECK(Near(r.c[2][0], 1.5 / 4));
}

TEST_CASE("at the bound itself the gradient is whole", "[train]") {
  Minibatch b;
  b.sampler = {{-1}};
  b.theta = {{0}};
  b.advantage = {1};
  LossSpec spec;
  spec.set_clip_high(std::exp(1.0) - 1);
  CHECK(Near(Run(MakeLoss(spec), b).c[0][0], -std::exp(1.0)));
}

TEST_CASE("an overflowing ratio is clamped, counted and has no gradient", "[train]") {
  for (const char* text : {"", "policy: POLICY_GSPO", "policy: POLICY_SAPO", "policy: POLICY_CISPO",
                           "policy: POLICY_DPPO_TV"}) {
    for (double a : {1.0, -1.0}) {
      Minibatch b;
      b.sampler = {{-1000}, {-0.1}};
      b.theta = {{-0.1}, {-1000}};
      b.advantage = {a, a};
      const auto r = Run(MakeLoss(Spec(text)), b);
      CAPTURE(text, a);
      REQUIRE_OK(r.status);
      CHECK(std::isfinite(r.loss));
      CHECK(r.stats.Metrics().at("ratio_clamped") == 2);
      if (std::string(text).empty()) CHECK(r.c == Rows{{0.0}, {0.0}});
    }
  }
}

TEST_CASE("sequence masking takes the policy term of bad, stale completions only", "[train]") {
  // mean(logp_sampler - logp) is 1 above or 0 below delta 0.5.
  Minibatch b;
  b.sampler = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
  b.theta = {{-1.5, -2.5}, {-1.5, -2.5}, {-0.5, -1.5}, {-0.5, -1.5}};
  b.ref = {{-2, -2}, {-2, -2}, {-2, -2}, {-2, -2}};
  b.advantage = {-1, 1, -1, 1};
  const char* clip_off = "clip_low: 10 off_policy { sequence_mask_delta: 0.5 }";
  const auto r = Run(MakeLoss(Spec(clip_off)), b);
  CHECK(r.c[0] == std::vector{0.0, 0.0});
  for (int i : {1, 2, 3}) CHECK(r.c[i][0] != 0);
  CHECK(r.stats.Metrics().at("masked_sequence_fraction") == 0.25);
  CHECK(r.stats.Metrics().at("masked_token_fraction") == 0.25);
  const auto kl = Run(MakeLoss(Spec(clip_off), Kl("beta: 1")), b);
  CHECK(Near(kl.c[0][0], (1 - std::exp(-2 + 1.5)) / 8));
}

TEST_CASE("the entropy bonus is weighed as the loss is", "[train]") {
  Minibatch b = FixtureF1(false);
  b.ref.clear();
  const auto plain = Run(MakeLoss({}), b);
  b.entropy = b.theta;
  for (auto& row : b.entropy) std::fill(row.begin(), row.end(), 1.5);
  const auto r = Run(MakeLoss(Spec("entropy_coef: 0.01")), b);
  CHECK(Near(r.loss, plain.loss - 0.01 * 1.5));
  CHECK(r.c == plain.c);
  CHECK(Near(r.entropy_coefficient[0], -0.01 / 16));
  CHECK(Near(r.stats.Metrics().at("entropy_mean"), 1.5));
}

TEST_CASE("loss specifications that mean nothing are refused with the field's name", "[train]") {
  const std::pair<const char*, const char*> bad[] = {
      {"dual_clip: 0.9", "loss.dual_clip"},
      {"dual_clip: 3 policy: POLICY_GSPO", "loss.dual_clip"},
      {"ratio_cap: 1.1", "loss.ratio_cap"},
      {"ratio_cap: 4 policy: POLICY_SAPO", "loss.ratio_cap"},
      {"clip_low: -1", "loss.clip_low"},
      {"clip_high: nan", "loss.clip_high"},
      {"aggregation: AGGREGATION_CONST_NORM", "max_new_tokens"},
      {"off_policy { weight: WEIGHT_TOKEN_TRUNCATE }", "recompute_old"},
      {"off_policy { geo_low: 0.9 geo_high: 1.1 }", "recompute_old"},
      {"off_policy { recompute_old: true geo_low: 0.9 }", "geo_low"},
      {"off_policy { recompute_old: true weight: WEIGHT_TOKEN_MASK weight_low: 6 }", "weight_low"},
      {"off_policy { max_nonfinite: 2 }", "max_nonfinite"}};
  for (const auto& [text, field] : bad) {
    const auto status = PolicyLoss::Create(Spec(text), {}, 0).status();
    CAPTURE(text, status.ToString());
    CHECK_CODE(status, absl::StatusCode::kInvalidArgument);
    CHECK(std::string(status.message()).find(field) != std::string::npos);
  }
  CHECK_CODE(PolicyLoss::Create({}, Kl("beta: -1"), 4), absl::StatusCode::kInvalidArgument);
  LossSpec unknown;
  unknown.set_policy(static_cast<LossSpec::Policy>(55));
  CHECK_CODE(PolicyLoss::Create(unknown, {}, 4), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone
