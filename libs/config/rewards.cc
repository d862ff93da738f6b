#include "libs/config/rewards.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/config/suggest.h"

namespace hone {
namespace {

void Check(const v1::RewardSpec& reward, const std::string& at, std::vector<FieldViolation>* out) {
  constexpr double kMaxTimeout = 86400;
  const auto timeout = [&](double seconds, const std::string& where) {
    if (!(seconds >= 0 && seconds <= kMaxTimeout))
      out->push_back({absl::StrCat(where, ".timeout_seconds"),
                      absl::StrCat(seconds, " (expected 0 to ", kMaxTimeout, ")")});
  };
  timeout(reward.timeout_seconds(), at);
  for (int i = 0; i < reward.scorers_size(); ++i) {
    const std::string scorer = absl::StrCat(at, ".scorers[", i, "]");
    if (reward.scorers(i).name().empty())
      out->push_back({absl::StrCat(scorer, ".name"), "missing (expected the name of a scorer)"});
    timeout(reward.scorers(i).timeout_seconds(), scorer);
  }
}

// Null when the set has none of its own.
const v1::RewardSpec* FindOwn(const v1::RunSpec& spec, absl::string_view prompt_set) {
  for (const v1::PromptSetReward& r : spec.prompt_set_rewards())
    if (r.prompt_set() == prompt_set) return &r.reward();
  return nullptr;
}

}  // namespace

const v1::RewardSpec& RewardOf(const v1::RunSpec& spec, absl::string_view prompt_set) {
  const v1::RewardSpec* own = FindOwn(spec, prompt_set);
  return own == nullptr ? spec.reward() : *own;
}

std::vector<FieldViolation> ValidateRewards(const v1::RunSpec& spec) {
  std::vector<FieldViolation> out;
  std::set<std::string> scored;
  for (const v1::StageSpec& s : spec.stages())
    if (s.has_grpo()) scored.insert(s.grpo().prompt_set());
  for (const v1::EvaluationSpec& e : spec.evaluations()) scored.insert(e.prompt_set());

  const bool needs_common = std::any_of(scored.begin(), scored.end(), [&](const std::string& set) {
    return FindOwn(spec, set) == nullptr;
  });
  if (needs_common && spec.reward().scorers().empty())
    out.push_back(
        {"reward.scorers", "empty (expected a scorer, as there is a grpo stage or an evaluation)"});
  Check(spec.reward(), "reward", &out);

  std::set<std::string> seen;
  for (int i = 0; i < spec.prompt_set_rewards_size(); ++i) {
    const v1::PromptSetReward& own = spec.prompt_set_rewards(i);
    const std::string at = absl::StrCat("prompt_set_rewards[", i, "]");
    const std::string set = absl::StrCat("\"", own.prompt_set(), "\"");
    if (scored.count(own.prompt_set()) == 0) {
      const std::vector<std::string> known(scored.begin(), scored.end());
      const std::string near = Closest(own.prompt_set(), known);
      out.push_back(
          {absl::StrCat(at, ".prompt_set"),
           absl::StrCat(set, near.empty() ? "" : "; did you mean \"", near,
                        near.empty() ? "" : "\"?",
                        " (expected a prompt set of a grpo stage or an evaluation: ",
                        known.empty() ? "there are none" : absl::StrJoin(known, ", "), ")")});
    } else if (!seen.insert(own.prompt_set()).second) {
      out.push_back({absl::StrCat(at, ".prompt_set"),
                     absl::StrCat(set, " has a reward already (expected one for each set)")});
    }
    if (own.reward().scorers().empty())
      out.push_back({absl::StrCat(at, ".reward.scorers"), "empty (expected a scorer)"});
    Check(own.reward(), absl::StrCat(at, ".reward"), &out);
  }
  return out;
}

}  // namespace hone
