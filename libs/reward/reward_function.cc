#include "libs/reward/reward_function.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace hone {
namespace {

double Seconds(TimePoint since) {
  return std::chrono::duration<double>(SystemClock::Get().Now() - since).count();
}

absl::Status CheckTimeout(double seconds, absl::string_view where) {
  if (seconds >= 0 && seconds <= RewardFunction::kMaxTimeout) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(where, ".timeout_seconds is ", seconds,
                                                 ", expected 0 to ", RewardFunction::kMaxTimeout));
}

// Whether there is something to check a completion by.
bool Checkable(const v1::Prompt& prompt) {
  if (!absl::StripAsciiWhitespace(prompt.answer()).empty()) return true;
  for (const char* name : {"formal_statement", "test", "tests", "test_list", "test_cases",
                           "public_tests", "private_tests", "input_output", "numbers"})
    if (prompt.metadata().fields().contains(name)) return true;
  return false;
}

}  // namespace

absl::StatusOr<RewardFunction> RewardFunction::Create(const v1::RewardSpec& spec,
                                                      const Registry& registry) {
  if (spec.scorers().empty() || spec.scorers_size() > kMaxScorers)
    return absl::InvalidArgumentError(absl::StrCat("reward.scorers has ", spec.scorers_size(),
                                                   " scorers, expected 1 to ", kMaxScorers));
  if (absl::Status s = CheckTimeout(spec.timeout_seconds(), "reward"); !s.ok()) return s;
  RewardFunction function;
  function.timeout_seconds_ = spec.timeout_seconds();
  v1::RewardSpec judging = spec;
  judging.clear_timeout_seconds();
  for (int i = 0; i < spec.scorers_size(); ++i) {
    const v1::ScorerSpec& s = spec.scorers(i);
    const std::string where = absl::StrCat("reward.scorers[", i, "]");
    if (!std::isfinite(s.weight()))
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".weight is ", s.weight(), ", expected a finite number"));
    if (absl::Status status = CheckTimeout(s.timeout_seconds(), where); !status.ok()) return status;
    absl::StatusOr<std::unique_ptr<Scorer>> scorer = registry.Make(s.name(), s.options());
    if (!scorer.ok())
      return absl::Status(scorer.status().code(),
                          absl::StrCat(where, ": ", scorer.status().message()));
    function.scorers_.push_back({s.name(), s.weight() == 0 ? 1 : s.weight(),
                                 Duration(static_cast<int64_t>(s.timeout_seconds() * 1e9)),
                                 *std::move(scorer)});
    judging.mutable_scorers(i)->set_weight(function.scorers_.back().weight);
    judging.mutable_scorers(i)->clear_timeout_seconds();
    absl::StrAppend(&function.identity_, registry.VersionOf(s.name()), "\n");
  }
  absl::StrAppend(&function.identity_, DeterministicBytes(judging));
  return function;
}

v1::Verdict RewardFunction::Score(const v1::ScoreItem& item, TimePoint deadline) const {
  const TimePoint start = SystemClock::Get().Now();
  v1::Verdict verdict;
  for (size_t i = 0; i < scorers_.size(); ++i) {
    const Weighted& s = scorers_[i];
    const TimePoint part_start = SystemClock::Get().Now();
    v1::ScorePart part;
    if (item.finish_reason() == v1::FINISH_REASON_ABORT) {
      part = Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE, "the completion was aborted");
    } else if (item.completion().size() > kMaxCompletionBytes) {
      part =
          Unscored(v1::OUTCOME_BUDGET, absl::StrCat("the completion has ", item.completion().size(),
                                                    " bytes, at most ", kMaxCompletionBytes));
    } else if (part_start >= deadline) {
      part = Unscored(v1::OUTCOME_TIMEOUT, "the item's time was over before this scorer began");
    } else if (std::optional<v1::ScorePart> withheld = Withheld(i, item, verdict);
               withheld.has_value()) {
      part = *std::move(withheld);
    } else {
      const bool limited = s.timeout.count() > 0 && s.timeout < deadline - part_start;
      part = s.scorer->Score(item, limited ? part_start + s.timeout : deadline);
    }
    part.set_seconds(Seconds(part_start));
    *verdict.add_parts() = std::move(part);
  }
  Conclude(verdict);
  verdict.set_seconds(Seconds(start));
  return verdict;
}

std::optional<v1::ScorePart> RewardFunction::Withheld(size_t i, const v1::ScoreItem& item,
                                                      const v1::Verdict& so_far) const {
  if (!scorers_[i].scorer->opinion() || !Checkable(item.prompt())) return std::nullopt;
  if (scorers_[0].scorer->opinion())
    return Unscored(
        v1::OUTCOME_VERIFIER_UNAVAILABLE,
        "not asked: the prompt has an answer or tests to check by, and a model alone may "
        "not decide; put a scorer that checks first, or set option allow_sole_judge");
  const v1::ScorePart& primary = so_far.parts(0);
  if (!HasValue(primary))
    return Unscored(primary.outcome(), "not asked: the first scorer has no verdict");
  if (primary.value() > 0) return std::nullopt;
  return Scored(0, "not asked: the first scorer gives 0");
}

v1::Verdict RewardFunction::Unjudged(v1::Outcome outcome, absl::string_view reason) const {
  v1::Verdict verdict;
  for (size_t i = 0; i < scorers_.size(); ++i) *verdict.add_parts() = Unscored(outcome, reason);
  Conclude(verdict);
  return verdict;
}

void RewardFunction::Conclude(v1::Verdict& verdict) const {
  verdict.set_outcome(v1::OUTCOME_SCORED);
  double score = 0;
  double gained = 0, judged_weight = 0, weight = 0;  // of positive weights only
  for (int i = 0; i < verdict.parts_size(); ++i) {
    v1::ScorePart& part = *verdict.mutable_parts(i);
    const Weighted& s = scorers_[static_cast<size_t>(i)];
    part.set_scorer(s.name);
    part.set_weight(s.weight);
    if (s.weight > 0) weight += s.weight;
    if (HasValue(part)) {
      score += s.weight * part.value();
      if (s.weight > 0) {
        gained += s.weight * part.value();
        judged_weight += s.weight;
      }
    } else if (verdict.outcome() == v1::OUTCOME_SCORED &&
               (part.outcome() != v1::OUTCOME_ABSTAINED || i == 0)) {
      verdict.set_outcome(part.outcome());
    }
  }
  if (verdict.outcome() == v1::OUTCOME_SCORED && judged_weight == 0 && weight > 0)
    verdict.set_outcome(v1::OUTCOME_ABSTAINED);
  const v1::ScorePart& primary = verdict.parts(0);
  verdict.set_correct(primary.outcome() == v1::OUTCOME_SCORED && primary.value() >= 1);
  if (verdict.outcome() != v1::OUTCOME_SCORED) return;
  // Who abstained counts as the mean of the others.
  if (judged_weight < weight) score += gained / judged_weight * (weight - judged_weight);
  verdict.set_score(score);
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

std::string DeterministicBytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace hone
