#include "libs/reward/reward_function.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

TEST_CASE("contains looks for its text in any case and must be told what to look for", "[reward]") {
  v1::RewardSpec spec;
  v1::ScorerSpec& scorer = *spec.add_scorers();
  scorer.set_name("contains");
  CHECK_CODE(RewardFunction::Create(spec), absl::StatusCode::kInvalidArgument);
  (*scorer.mutable_options()->mutable_fields())["text"].set_string_value("Dog");
  const auto reward = RewardFunction::Create(spec);
  REQUIRE_OK(reward);
  v1::ScoreItem item;
  item.set_completion("A big dOg ran.");
  CHECK(reward->Score(item).score() == 1);
  CHECK(reward->Score(item).correct());
  item.set_completion("A cat.");
  CHECK(reward->Score(item).score() == 0);
  CHECK(reward->Score(item).outcome() == v1::OUTCOME_SCORED);
}

}  // namespace
}  // namespace hone
