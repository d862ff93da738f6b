#include "libs/config/rewards.h"

#include "libs/config/config.h"
#include "libs/config/defaults.h"
#include "libs/config/validate.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

v1::RunSpec Good() {
  v1::RunSpec spec;
  REQUIRE_OK(ParseYaml(R"(
name: demo
model: {path: /m}
stages:
  - name: rl
    grpo:
      prompt_set: sums
      steps: 10
      prompts_per_step: 4
      group_size: 5
      sampling: {max_new_tokens: 64}
      optimizer: {learning_rate: 1e-6}
evaluations: [{name: val, prompt_set: words, samples: 2, sampling: {max_new_tokens: 64}}]
reward: {scorers: [{name: math}]}
prompt_set_rewards:
  - prompt_set: words
    reward: {timeout_seconds: 9, scorers: [{name: contains, options: {text: x}}]}
checkpoint: {path: /out}
)",
                       "good.yaml", &spec));
  return spec;
}

TEST_CASE("a prompt set's own reward replaces the run's, as a whole", "[config]") {
  v1::RunSpec spec = Good();
  CHECK(Validate(spec).empty());
  CHECK(RewardOf(spec, "sums").scorers(0).name() == "math");
  CHECK(RewardOf(spec, "words").scorers(0).name() == "contains");
  CHECK(RewardOf(spec, "words").timeout_seconds() == 9);
  CHECK(RewardOf(spec, "").scorers(0).name() == "math");
  ApplyDefaults(spec);
  CHECK(RewardOf(spec, "words").scorers(0).weight() == 1);
}

TEST_CASE("the run's reward may be missing when each set has its own", "[config]") {
  v1::RunSpec spec = Good();
  spec.clear_reward();
  REQUIRE(Validate(spec).size() == 1);
  CHECK(Validate(spec)[0].path == "reward.scorers");
  v1::PromptSetReward& own = *spec.add_prompt_set_rewards();
  own.set_prompt_set("sums");
  own.mutable_reward()->add_scorers()->set_name("math");
  CHECK(Validate(spec).empty());
}

// Each row breaks one rule and gives the only violation that must follow.
struct Rule {
  std::vector<std::string> overrides;
  std::string path;
  std::string message;
};

const Rule kRules[] = {
    {{"reward.timeout_seconds=-1"}, "reward.timeout_seconds", "-1 (expected 0 to 86400)"},
    {{"reward.scorers.0.timeout_seconds=1e6"},
     "reward.scorers[0].timeout_seconds",
     "1e+06 (expected 0 to 86400)"},
    {{"prompt_set_rewards.1={prompt_set: smus, reward: {scorers: [{name: math}]}}"},
     "prompt_set_rewards[1].prompt_set",
     "\"smus\"; did you mean \"sums\"? (expected a prompt set of a grpo stage or an evaluation: "
     "sums, words)"},
    {{"prompt_set_rewards.1={prompt_set: words, reward: {scorers: [{name: math}]}}"},
     "prompt_set_rewards[1].prompt_set",
     "\"words\" has a reward already (expected one for each set)"},
    {{"prompt_set_rewards.0.reward.scorers=[]"},
     "prompt_set_rewards[0].reward.scorers",
     "empty (expected a scorer)"},
    {{"prompt_set_rewards.0.reward.scorers.0.name="},
     "prompt_set_rewards[0].reward.scorers[0].name",
     "missing (expected the name of a scorer)"},
    {{"reward.scorers=[]"},
     "reward.scorers",  // the stage's set has none of its own
     "empty (expected a scorer, as there is a grpo stage or an evaluation)"},
};

TEST_CASE("each rule of rewards is a violation with its place", "[config]") {
  for (const Rule& rule : kRules) {
    INFO(rule.path);
    v1::RunSpec spec = Good();
    REQUIRE_OK(ApplyOverrides(rule.overrides, &spec));
    const std::vector<FieldViolation> violations = ValidateRewards(spec);
    REQUIRE(violations.size() == 1);
    CHECK(violations[0].path == rule.path);
    CHECK(violations[0].message == rule.message);
  }
}

}  // namespace
}  // namespace hone
