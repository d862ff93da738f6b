#include "libs/reward/reward_function.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using Steady = std::chrono::steady_clock;

double Seconds(Steady::time_point since) {
  return std::chrono::duration<double>(Steady::now() - since).count();
}

}  // namespace

absl::StatusOr<RewardFunction> RewardFunction::Create(const v1::RewardSpec& spec,
                                                      const Registry& registry) {
  if (spec.scorers().empty() || spec.scorers_size() > kMaxScorers)
    return absl::InvalidArgumentError(absl::StrCat("reward.scorers has ", spec.scorers_size(),
                                                   " scorers, expected 1 to ", kMaxScorers));
  RewardFunction function;
  for (int i = 0; i < spec.scorers_size(); ++i) {
    const v1::ScorerSpec& s = spec.scorers(i);
    const std::string where = absl::StrCat("reward.scorers[", i, "]");
    if (!std::isfinite(s.weight()))
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".weight is ", s.weight(), ", expected a finite number"));
    absl::StatusOr<std::unique_ptr<Scorer>> scorer = registry.Make(s.name(), s.options());
    if (!scorer.ok())
      return absl::Status(scorer.status().code(),
                          absl::StrCat(where, ": ", scorer.status().message()));
    function.scorers_.push_back({s.name(), s.weight() == 0 ? 1 : s.weight(), *std::move(scorer)});
  }
  return function;
}

v1::Verdict RewardFunction::Score(const v1::ScoreItem& item, TimePoint deadline) const {
  const Steady::time_point start = Steady::now();
  v1::Verdict verdict;
  verdict.set_outcome(v1::OUTCOME_SCORED);
  double score = 0;
  for (const Weighted& s : scorers_) {
    const Steady::time_point part_start = Steady::now();
    v1::ScorePart part;
    if (item.finish_reason() == v1::FINISH_REASON_ABORT) {
      part = Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE, "the completion was aborted");
    } else if (item.completion().size() > kMaxCompletionBytes) {
      part =
          Unscored(v1::OUTCOME_BUDGET, absl::StrCat("the completion has ", item.completion().size(),
                                                    " bytes, at most ", kMaxCompletionBytes));
    } else {
      part = s.scorer->Score(item, deadline);
    }
    part.set_scorer(s.name);
    part.set_weight(s.weight);
    part.set_seconds(Seconds(part_start));
    if (HasValue(part.outcome())) {
      score += s.weight * part.value();
    } else if (verdict.outcome() == v1::OUTCOME_SCORED) {
      verdict.set_outcome(part.outcome());
    }
    *verdict.add_parts() = std::move(part);
  }
  const v1::ScorePart& primary = verdict.parts(0);
  verdict.set_correct(primary.outcome() == v1::OUTCOME_SCORED && primary.value() >= 1);
  if (verdict.outcome() == v1::OUTCOME_SCORED) verdict.set_score(score);
  verdict.set_seconds(Seconds(start));
  return verdict;
}

bool RewardFunction::blocks() const {
  return std::any_of(scorers_.begin(), scorers_.end(),
                     [](const Weighted& s) { return s.scorer->blocks(); });
}

std::vector<std::string> RewardFunction::names() const {
  std::vector<std::string> all;
  for (const Weighted& s : scorers_) all.push_back(s.name);
  return all;
}

}  // namespace hone
