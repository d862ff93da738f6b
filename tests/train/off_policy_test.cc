#include "libs/train/off_policy.h"

#include <cmath>
#include <limits>

#include "google/protobuf/text_format.h"
#include "tests/train/minibatch.h"

namespace hone {
namespace {

using testing::FixtureF1;
using testing::MakeLoss;
using testing::Minibatch;
using testing::Near;
using testing::Run;
using v1::LossSpec;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

OffPolicy Make(const char* text, LossSpec::Policy policy = LossSpec::POLICY_CLIP) {
  v1::OffPolicySpec spec;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &spec));
  auto o = OffPolicy::Create(spec, policy);
  REQUIRE_OK(o);
  return *o;
}

PreparedSequence Prepare(const OffPolicy& o, std::vector<double> sampler,
                         std::vector<double> recomputed = {}, LossStats* stats = nullptr) {
  LossStats own;
  auto p = o.Prepare(sampler, recomputed, {}, stats ? stats : &own);
  REQUIRE_OK(p);
  return *p;
}

TEST_CASE("a sampler's NaN takes its token out of the numerator and never becomes weight one",
          "[train]") {
  for (double bad : {kNan, -kInf, kInf}) {
    std::vector<double> sampler(200, -1.0), old(200, -1.0);
    sampler[5] = bad;
    LossStats stats;
    for (const char* text : {"", "recompute_old: true weight: WEIGHT_TOKEN_TRUNCATE",
                             "recompute_old: true weight: WEIGHT_SEQUENCE_TRUNCATE",
                             "recompute_old: true geo_low: 0.9 geo_high: 1.1",
                             "recompute_old: true sequence_mask_delta: 0.1"}) {
      const OffPolicy o = Make(text);
      const auto p = Prepare(o, sampler, o.recomputes_old() ? old : std::vector<double>(), &stats);
      CAPTURE(text);
      CHECK(p.mask_num[5] == 0);
      CHECK(p.mask_num[4] == 1);
      CHECK(p.mask_den[5] == 1);
      CHECK(p.tokens == 200);
      CHECK_FALSE(p.rejected);
      for (double w : p.weight) CHECK(w == 1);
    }
    CHECK(stats.Metrics().at("nonfinite_rollout_logprob") == 5);
    CHECK(stats.sums[LossStats::kWeightTokens] == 2 * 199);
  }
}

TEST_CASE("a sampler's NaN changes nothing where the loss does not read it", "[train]") {
  CHECK(Prepare(Make("", LossSpec::POLICY_REINFORCE), {-1, kNan}).mask_num ==
        std::vector<uint8_t>{1, 1});
  CHECK(Prepare(Make("recompute_old: true"), {-1, kNan}, {-1, -2}).mask_num ==
        std::vector<uint8_t>{1, 1});
}

TEST_CASE("too many non-finite logprobs reject the completion", "[train]") {
  std::vector<double> sampler(100, -1.0);
  sampler[0] = kNan;
  CHECK_FALSE(Prepare(Make(""), sampler).rejected);  // 1 % is the limit, inclusive
  sampler[1] = -kInf;
  LossStats stats;
  const auto p = Prepare(Make(""), sampler, {}, &stats);
  CHECK(p.rejected);
  CHECK(p.mask_num == std::vector<uint8_t>(100, 0));
  CHECK(p.tokens == 100);
  CHECK(stats.sums[LossStats::kRejectedSequences] == 1);
  CHECK_FALSE(Prepare(Make("max_nonfinite: 0.02"), sampler).rejected);
  CHECK(Prepare(Make("drop_rejected: true"), sampler).tokens == 0);
}

TEST_CASE("NaN from the sampler ends in finite coefficients for every loss", "[train]") {
  for (const char* text : {"", "policy: POLICY_REINFORCE", "policy: POLICY_GSPO",
                           "policy: POLICY_CISPO", "policy: POLICY_SAPO", "policy: POLICY_DPPO_TV",
                           "policy: POLICY_REINFORCE off_policy { weight: WEIGHT_TOKEN_TRUNCATE }",
                           "off_policy { max_nonfinite: 1 sequence_mask_delta: 0.1 }"}) {
    for (double bad : {kNan, -kInf, kInf}) {
      LossSpec spec;
      REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &spec));
      v1::KlSpec kl;
      kl.set_beta(0.1);
      kl.set_estimator(v1::KlSpec::ESTIMATOR_UNBIASED);
      Minibatch b = FixtureF1(false);
      b.sampler[2][1] = bad;
      const auto r = Run(MakeLoss(spec, kl), b);
      CAPTURE(text, bad);
      REQUIRE_OK(r.status);
      CHECK(std::isfinite(r.loss));
      for (const auto& row : r.c) {
        for (double c : row) CHECK(std::isfinite(c));
      }
      for (const auto& [name, value] : r.stats.Metrics()) {
        CAPTURE(name);
        CHECK(std::isfinite(value));
      }
      CHECK(r.stats.Metrics().at("nonfinite_rollout_logprob") == 1);
    }
  }
}

TEST_CASE("a recomputed logprob that is not finite fails the step", "[train]") {
  const OffPolicy o = Make("recompute_old: true");
  LossStats stats;
  const std::vector<double> sampler{-1, -1};
  for (double bad : {kNan, -kInf, kInf}) {
    const std::vector<double> old{-1, bad};
    CHECK_CODE(o.Prepare(sampler, old, {}, &stats), absl::StatusCode::kOutOfRange);
    CHECK_OK(o.Prepare(sampler, old, std::vector<uint8_t>{1, 0}, &stats));
  }
}

TEST_CASE("the product over a long sequence is clamped before exp", "[train]") {
  LossStats stats;
  const std::vector<double> sampler(1000, -2.0), up(1000, -1.0), down(1000, -3.0);
  const OffPolicy o =
      Make("recompute_old: true weight: WEIGHT_SEQUENCE_TRUNCATE weight_high: 1e30");
  CHECK(Near(Prepare(o, sampler, up, &stats).weight[0], std::exp(20.0)));
  CHECK(Near(Prepare(o, sampler, down, &stats).weight[0], std::exp(-20.0)));
  CHECK(stats.sums[LossStats::kClampedRatio] == 2);
}

TEST_CASE("IcePop's bounds belong to the kept range", "[train]") {
  const double w = std::exp(0.5);
  LossStats stats;
  v1::OffPolicySpec spec;
  spec.set_recompute_old(true);
  spec.set_weight(v1::OffPolicySpec::WEIGHT_TOKEN_MASK);
  spec.set_weight_low(w);
  spec.set_weight_high(w);
  auto o = OffPolicy::Create(spec, LossSpec::POLICY_CLIP);
  REQUIRE_OK(o);
  CHECK(Prepare(*o, {-1, -1, -1}, {-0.5, -0.49, -0.51}).weight == std::vector{w, 0.0, 0.0});
}

TEST_CASE("geometric rejection leaves the denominators alone unless told", "[train]") {
  const std::vector<double> sampler{-1, -1}, old{-1.3, -1.1};
  const auto keep = Prepare(Make("recompute_old: true geo_low: 0.9 geo_high: 1.1"), sampler, old);
  CHECK(keep.rejected);
  CHECK(keep.tokens == 2);
  const auto drop = Prepare(
      Make("recompute_old: true geo_low: 0.9 geo_high: 1.1 drop_rejected: true"), sampler, old);
  CHECK(drop.tokens == 0);
  CHECK_FALSE(
      Prepare(Make("recompute_old: true geo_low: 0.8 geo_high: 1.1"), sampler, old).rejected);
}

TEST_CASE("bypass: ratio losses ignore weights, REINFORCE weighs the current policy", "[train]") {
  Minibatch b;
  b.sampler = {{-1, -1}};
  b.theta = {{-0.5, 0}};
  b.advantage = {2};
  LossSpec spec;
  spec.set_policy(LossSpec::POLICY_REINFORCE);
  spec.mutable_off_policy()->set_weight(v1::OffPolicySpec::WEIGHT_TOKEN_TRUNCATE);
  const auto r = Run(MakeLoss(spec), b);
  CHECK(Near(r.c[0], {-2 * std::exp(0.5) / 2, -2 * 2.0 / 2}));  // e^1 is cut to 2
  CHECK(Near(r.stats.Metrics().at("is_weight_max"), 2));
  CHECK(Near(r.stats.Metrics().at("is_weight_min"), std::exp(0.5)));
}

TEST_CASE("mismatch is exactly zero for equal logprobs and measured otherwise", "[train]") {
  LossStats same;
  const std::vector<double> p{-0.1, -2, -7}, q{-0.2, -2, -7};
  same.AddMismatch(p, p, {});
  auto m = same.Metrics();
  CHECK(m.at("mismatch_kl") == 0);
  CHECK(m.at("logprob_abs_diff_max") == 0);
  CHECK(m.at("token_mult_prob_error") == 1);
  CHECK(m.at("chi2_token") == 0);
  CHECK(Near(m.at("probability_correlation"), 1));
  LossStats other;
  other.AddMismatch(p, q, {});
  m = other.Metrics();
  CHECK(Near(m.at("logprob_abs_diff_max"), 0.1));
  CHECK(Near(m.at("logprob_abs_diff_mean"), 0.1 / 3));
  CHECK(Near(m.at("mismatch_kl"), (std::exp(0.1) - 1.1) / 3));
  CHECK(Near(m.at("token_mult_prob_error"), (std::exp(0.1) + 2) / 3));
  CHECK(m.at("probability_correlation") > 0.99);
  // The decoupled correction measures it by itself.
  LossStats prepared;
  Prepare(Make("recompute_old: true"), q, p, &prepared);
  CHECK(prepared.sums == other.sums);
}

TEST_CASE("the effective sample size falls when one weight dominates", "[train]") {
  LossStats even, uneven;
  const OffPolicy o = Make("recompute_old: true weight: WEIGHT_TOKEN_TRUNCATE weight_high: 1000");
  Prepare(o, {-1, -1, -1, -1}, {-1, -1, -1, -1}, &even);
  Prepare(o, {-7, -1, -1, -1}, {-1, -7, -7, -7}, &uneven);
  CHECK(Near(even.Metrics().at("effective_sample_size"), 1));
  CHECK(even.Metrics().at("is_weight_std") == 0);
  CHECK(uneven.Metrics().at("effective_sample_size") < 0.3);
}

}  // namespace
}  // namespace hone
