#include "libs/train/advantage.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status.h"

namespace hone {
namespace {

using v1::AdvantageSpec;

constexpr double kDefaultEps = 1e-6;

struct Preset {
  absl::string_view name;
  AdvantageSpec::Kind kind;
  double eps;
  int ddof;
};

constexpr Preset kPresets[] = {
    {"paper", AdvantageSpec::KIND_GROUP_STD, kDefaultEps, 0},
    {"deepseekmath", AdvantageSpec::KIND_GROUP_STD, -1, 0},
    {"verl", AdvantageSpec::KIND_GROUP_STD, 1e-6, 1},
    {"trl", AdvantageSpec::KIND_GROUP_STD, 1e-4, 1},
    {"trl_batch", AdvantageSpec::KIND_BATCH_STD, 1e-4, 1},
    {"openrlhf", AdvantageSpec::KIND_GROUP_STD, 1e-9, 1},
    {"slime", AdvantageSpec::KIND_GROUP_STD, 1e-6, 1},
    {"open_instruct", AdvantageSpec::KIND_CENTER, 0, 0},
    {"open_instruct_std", AdvantageSpec::KIND_GROUP_STD, 1e-8, 0},
    {"areal", AdvantageSpec::KIND_GROUP_STD, 1e-5, 0},
    {"prime_rl", AdvantageSpec::KIND_CENTER, 0, 0},
    {"dr_grpo", AdvantageSpec::KIND_CENTER, 0, 0},
    {"v3_2", AdvantageSpec::KIND_CENTER, 0, 0},
    {"rloo", AdvantageSpec::KIND_LEAVE_ONE_OUT, 0, 0},
};

bool InStatistics(SampleUse use) {
  return use != SampleUse::kDrop;
}

struct Moments {
  int64_t n = 0;
  double mean = 0, min = 0, max = 0;
  double std = 0;  // 0 when max == min
};

Moments MomentsOf(std::span<const double> values, int ddof) {
  Moments m;
  m.n = static_cast<int64_t>(values.size());
  if (values.empty()) return m;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  m.min = *low;
  m.max = *high;
  if (m.min == m.max) {
    m.mean = m.min;
    return m;
  }
  double sum = 0;
  for (double v : values) sum += v;
  m.mean = sum / m.n;
  double squares = 0;
  for (double v : values) squares += (v - m.mean) * (v - m.mean);
  m.std = std::sqrt(squares / (m.n - ddof));  // n >= 2 because two values differ
  return m;
}

}  // namespace

absl::StatusOr<v1::AdvantageSpec> AdvantagePreset(absl::string_view name) {
  std::string known;
  for (const Preset& p : kPresets) {
    if (p.name == name) {
      AdvantageSpec spec;
      spec.set_kind(p.kind);
      spec.set_eps(p.eps);
      spec.set_ddof(p.ddof);
      return spec;
    }
    absl::StrAppend(&known, known.empty() ? "" : ", ", p.name);
  }
  return absl::NotFoundError(
      absl::StrCat("advantage.preset: '", name, "' is unknown; expected one of ", known));
}

absl::StatusOr<AdvantageEstimator> AdvantageEstimator::Create(const AdvantageSpec& spec,
                                                              v1::TruncationMode truncation,
                                                              int group_size, int min_group) {
  AdvantageSpec fields = spec;
  if (!spec.preset().empty()) {
    if (spec.kind() != AdvantageSpec::KIND_UNSPECIFIED || spec.eps() != 0 || spec.ddof() != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "advantage.preset: '", spec.preset(),
          "' stands beside kind, eps or ddof; expected the preset alone or the fields alone"));
    }
    HONE_ASSIGN_OR_RETURN(fields, AdvantagePreset(spec.preset()));
  }
  if (fields.ddof() < 0 || fields.ddof() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("advantage.ddof: ", fields.ddof(), "; expected 0 or 1"));
  }
  if (!std::isfinite(fields.eps())) {
    return absl::InvalidArgumentError(
        absl::StrCat("advantage.eps: ", fields.eps(), "; expected a finite number"));
  }
  if (!AdvantageSpec::Kind_IsValid(fields.kind())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "advantage.kind: ", static_cast<int>(fields.kind()), "; expected a known kind"));
  }
  if (group_size < 1 || min_group < 0 || min_group > group_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("min_group: ", min_group, " with group_size ", group_size,
                     "; expected 0 <= min_group <= group_size and a group"));
  }
  AdvantageEstimator e;
  if (fields.kind() != AdvantageSpec::KIND_UNSPECIFIED) e.kind_ = fields.kind();
  if (truncation != v1::TRUNCATION_MODE_UNSPECIFIED) e.truncation_ = truncation;
  e.eps_ = fields.eps() == 0 ? kDefaultEps : std::max(fields.eps(), 0.0);
  e.ddof_ = fields.ddof();
  e.min_group_ = min_group > 0 ? min_group : std::max(2, group_size / 2);
  return e;
}

GroupAdvantages AdvantageEstimator::Statistics(std::span<const ScoredSample> group) const {
  GroupAdvantages result;
  result.advantage.assign(group.size(), 0.0);
  result.use.assign(group.size(), SampleUse::kTrain);
  std::vector<double> rewards;
  for (size_t i = 0; i < group.size(); ++i) {
    const ScoredSample& s = group[i];
    if (!s.reward.has_value() || !std::isfinite(*s.reward) ||
        (s.truncated && truncation_ == v1::TRUNCATION_MODE_EXCLUDE)) {
      result.use[i] = SampleUse::kDrop;
      continue;
    }
    if (s.truncated && truncation_ == v1::TRUNCATION_MODE_MASK) result.use[i] = SampleUse::kMask;
    rewards.push_back(*s.reward);
  }
  const Moments m = MomentsOf(rewards, ddof_);
  result.scorable = static_cast<int>(m.n);
  result.mean = m.mean;
  result.min = m.min;
  result.max = m.max;
  result.zero_variance = m.n > 0 && m.min == m.max;
  result.dropped = m.n == 0 || m.n < min_group_;
  if (result.dropped) {
    std::fill(result.use.begin(), result.use.end(), SampleUse::kDrop);
    return result;
  }
  if (result.zero_variance) return result;
  for (size_t i = 0; i < group.size(); ++i) {
    if (!InStatistics(result.use[i])) continue;
    const double centred = *group[i].reward - m.mean;
    switch (kind_) {
      case AdvantageSpec::KIND_CENTER:
      case AdvantageSpec::KIND_BATCH_STD:  // divided when the whole batch is known
        result.advantage[i] = centred;
        break;
      case AdvantageSpec::KIND_LEAVE_ONE_OUT:
        result.advantage[i] = centred * m.n / (m.n - 1);
        break;
      default:
        result.advantage[i] = centred / (m.std + eps_);
    }
  }
  return result;
}

std::vector<GroupAdvantages> AdvantageEstimator::Compute(
    std::span<const std::vector<ScoredSample>> groups) const {
  std::vector<GroupAdvantages> results;
  results.reserve(groups.size());
  for (const auto& group : groups) results.push_back(Statistics(group));
  if (kind_ != AdvantageSpec::KIND_BATCH_STD) return results;
  std::vector<double> rewards;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t i = 0; i < groups[g].size(); ++i) {
      if (InStatistics(results[g].use[i])) rewards.push_back(*groups[g][i].reward);
    }
  }
  // Where all rewards are equal so are those of each group, and the advantages are 0 already.
  const Moments m = MomentsOf(rewards, ddof_);
  if (m.std == 0) return results;
  for (GroupAdvantages& r : results) {
    for (double& a : r.advantage) a /= m.std + eps_;
  }
  return results;
}

std::map<std::string, double> AdvantageMetrics(std::span<const std::vector<ScoredSample>> groups,
                                               std::span<const GroupAdvantages> results) {
  HONE_CHECK(groups.size() == results.size())
      << groups.size() << " groups, " << results.size() << " results";
  std::vector<double> rewards, advantages;
  double kept = 0, zero = 0, zero_high = 0, within = 0;
  double samples = 0, unscored = 0, truncated = 0, dropped_samples = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    const GroupAdvantages& r = results[g];
    double squares = 0;
    for (size_t i = 0; i < groups[g].size(); ++i) {
      const ScoredSample& s = groups[g][i];
      const bool scored = s.reward.has_value() && std::isfinite(*s.reward);
      samples += 1;
      unscored += !scored;
      truncated += s.truncated;
      dropped_samples += r.use[i] == SampleUse::kDrop;
      if (scored) rewards.push_back(*s.reward);
      if (!InStatistics(r.use[i])) continue;
      advantages.push_back(r.advantage[i]);
      squares += (*s.reward - r.mean) * (*s.reward - r.mean);
    }
    if (r.dropped) continue;
    kept += 1;
    zero += r.zero_variance;
    zero_high += r.zero_variance && r.mean > 0;
    within += r.zero_variance ? 0 : std::sqrt(squares / r.scorable);
  }
  const Moments reward = MomentsOf(rewards, 0);
  const Moments advantage = MomentsOf(advantages, 0);
  const double groups_or_1 = std::max(kept, 1.0), samples_or_1 = std::max(samples, 1.0);
  return {
      {"reward_mean", reward.mean},
      {"reward_std", reward.std},
      {"reward_group_std", within / groups_or_1},
      {"advantage_mean", advantage.mean},
      {"advantage_std", advantage.std},
      {"advantage_min", advantage.min},
      {"advantage_max", advantage.max},
      {"zero_variance_fraction", zero / groups_or_1},
      {"zero_variance_high_fraction", zero_high / groups_or_1},
      {"zero_variance_low_fraction", (zero - zero_high) / groups_or_1},
      {"groups_dropped", static_cast<double>(groups.size()) - kept},
      {"completions_dropped", dropped_samples},
      {"unscored_fraction", unscored / samples_or_1},
      {"truncation_ratio", truncated / samples_or_1},
  };
}

}  // namespace hone
