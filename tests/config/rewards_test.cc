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

}  // namespace
}  // namespace hone
