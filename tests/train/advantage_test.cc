#include "libs/train/advantage.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "tests/train/golden.h"

namespace hone {
namespace {

using testing::Near;
using Group = std::vector<ScoredSample>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

v1::AdvantageSpec Spec(v1::AdvantageSpec::Kind kind, double eps = 0, int ddof = 0) {
  v1::AdvantageSpec s;
  s.set_kind(kind);
  s.set_eps(eps);
  s.set_ddof(ddof);
  return s;
}

GroupAdvantages One(const v1::AdvantageSpec& spec, const Group& group, int min_group = 1,
                    v1::TruncationMode truncation = v1::TRUNCATION_MODE_KEEP) {
  auto e = AdvantageEstimator::Create(spec, truncation, static_cast<int>(group.size()), min_group);
  REQUIRE_OK(e);
  return e->Compute(std::span(&group, 1))[0];
}

constexpr auto kStd = v1::AdvantageSpec::KIND_GROUP_STD;
constexpr auto kCenter = v1::AdvantageSpec::KIND_CENTER;
constexpr auto kRloo = v1::AdvantageSpec::KIND_LEAVE_ONE_OUT;

TEST_CASE("a completion without a reward stays out of the baseline", "[train]") {
  const auto kind = GENERATE(kStd, kCenter, kRloo);
  for (std::optional<double> missing : {std::optional<double>(), std::optional(kNan),
                                        std::optional(std::numeric_limits<double>::infinity())}) {
    const auto with = One(Spec(kind), Group{{1.0}, {missing}, {0.0}, {0.0}});
    const auto without = One(Spec(kind), Group{{1.0}, {0.0}, {0.0}});
    CHECK(with.scorable == 3);
    CHECK(with.advantage ==
          std::vector{without.advantage[0], 0.0, without.advantage[1], without.advantage[2]});
    CHECK(with.use ==
          std::vector{SampleUse::kTrain, SampleUse::kDrop, SampleUse::kTrain, SampleUse::kTrain});
  }
}

TEST_CASE("one scorable completion has advantage zero, none drops the group", "[train]") {
  const auto kind = GENERATE(kStd, kCenter, kRloo, v1::AdvantageSpec::KIND_BATCH_STD);
  const auto one = One(Spec(kind), Group{{5.0}, {std::nullopt}});
  CHECK_FALSE(one.dropped);
  CHECK(one.zero_variance);
  CHECK(one.advantage == std::vector{0.0, 0.0});
  const auto none = One(Spec(kind), Group{{std::nullopt}, {kNan}});
  CHECK(none.dropped);
  CHECK(none.use == std::vector{SampleUse::kDrop, SampleUse::kDrop});
  CHECK(none.advantage == std::vector{0.0, 0.0});
}

TEST_CASE("a group below min_group is dropped", "[train]") {
  const Group group{{1.0}, {0.0}, {std::nullopt}, {std::nullopt}};
  CHECK_FALSE(One(Spec(kStd), group, 2).dropped);
  CHECK(One(Spec(kStd), group, 3).dropped);
  // 0 is half of the group size, at least 2.
  CHECK_FALSE(One(Spec(kStd), group, 0).dropped);
  CHECK(One(Spec(kStd), Group{{1.0}, {std::nullopt}}, 0).dropped);
  CHECK(One(Spec(kStd), Group{{1.0}, {0.0}, {1.0}, {}, {}, {}, {}, {}}, 0).dropped);
}

TEST_CASE("only exclude changes the statistics of a group with a truncated completion", "[train]") {
  const Group group{{1.0}, {0.0}, {0.0, true}, {1.0}};
  const auto keep = One(Spec(kStd), group, 0, v1::TRUNCATION_MODE_KEEP);
  const auto unset = One(Spec(kStd), group, 0, v1::TRUNCATION_MODE_UNSPECIFIED);
  const auto mask = One(Spec(kStd), group, 0, v1::TRUNCATION_MODE_MASK);
  const auto exclude = One(Spec(kStd), group, 0, v1::TRUNCATION_MODE_EXCLUDE);
  CHECK(keep.advantage == unset.advantage);
  CHECK(keep.advantage == mask.advantage);
  CHECK(keep.mean == 0.5);
  CHECK(exclude.mean == Approx(2.0 / 3));
  CHECK(exclude.scorable == 3);
  CHECK(keep.use[2] == SampleUse::kTrain);
  CHECK(mask.use[2] == SampleUse::kMask);
  CHECK(exclude.use[2] == SampleUse::kDrop);
}

TEST_CASE("an affine change of rewards changes nothing with a deviation and scales without",
          "[train]") {
  const std::vector<double> r{1.0, 0.25, 0.25, -0.5, 0};
  Group plain, affine;
  for (double v : r) {
    plain.push_back({v});
    affine.push_back({3 * v + 7});
  }
  CHECK(Near(One(Spec(kStd, -1), affine).advantage, One(Spec(kStd, -1), plain).advantage));
  auto scaled = One(Spec(kCenter), plain).advantage;
  for (double& a : scaled) a *= 3;
  CHECK(Near(One(Spec(kCenter), affine).advantage, scaled));
  for (auto kind : {kStd, kCenter, kRloo}) {
    const auto a = One(Spec(kind), plain).advantage;
    CHECK(std::abs(std::accumulate(a.begin(), a.end(), 0.0)) < 1e-12);
  }
  auto rloo = One(Spec(kCenter), plain).advantage;
  for (double& a : rloo) a *= 5.0 / 4;
  CHECK(Near(One(Spec(kRloo), plain).advantage, rloo));
}

TEST_CASE("specifications that mean nothing are refused with the field's name", "[train]") {
  const auto create = [](const v1::AdvantageSpec& s, int group = 4, int min_group = 0) {
    return AdvantageEstimator::Create(s, v1::TRUNCATION_MODE_KEEP, group, min_group).status();
  };
  CHECK_CODE(create(Spec(kStd, 0, 2)), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(create(Spec(kStd, kNan)), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(create(Spec(static_cast<v1::AdvantageSpec::Kind>(77))),
             absl::StatusCode::kInvalidArgument);
  CHECK_CODE(create(Spec(kStd), 4, 5), absl::StatusCode::kInvalidArgument);
  v1::AdvantageSpec preset;
  preset.set_preset("nobody");
  CHECK_CODE(create(preset), absl::StatusCode::kNotFound);
  CHECK(std::string(create(preset).message()).find("'nobody'") != std::string::npos);
  preset.set_preset("verl");
  CHECK_OK(create(preset));
  preset.set_eps(1);
  CHECK_CODE(create(preset), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("metrics of a batch of groups count what happened", "[train]") {
  const std::vector<Group> groups{{{1.0}, {0.0}, {1.0, true}, {0.0}},
                                  {{1.0}, {1.0}, {1.0}, {1.0}},
                                  {{0.0}, {0.0}, {0.0}, {std::nullopt}},
                                  {{std::nullopt}, {std::nullopt}, {std::nullopt}, {1.0}}};
  auto e = AdvantageEstimator::Create(Spec(kCenter), v1::TRUNCATION_MODE_KEEP, 4, 0);
  REQUIRE_OK(e);
  auto m = AdvantageMetrics(groups, e->Compute(groups));
  CHECK(m["groups_dropped"] == 1);
  CHECK(m["completions_dropped"] == 5);
  CHECK(m["zero_variance_fraction"] == Approx(2.0 / 3));
  CHECK(m["zero_variance_high_fraction"] == Approx(1.0 / 3));
  CHECK(m["zero_variance_low_fraction"] == Approx(1.0 / 3));
  CHECK(m["unscored_fraction"] == Approx(4.0 / 16));
  CHECK(m["truncation_ratio"] == Approx(1.0 / 16));
  CHECK(m["reward_mean"] == Approx(7.0 / 12));
  CHECK(m["reward_group_std"] == Approx(0.5 / 3));
  CHECK(m["advantage_max"] == 0.5);
  CHECK(m["advantage_min"] == -0.5);
  CHECK(m["advantage_mean"] == 0);
  for (const auto& [name, value] : AdvantageMetrics({}, {})) {
    CAPTURE(name);
    CHECK(value == 0);
  }
}

}  // namespace
}  // namespace hone
