#pragma once

#include <ctime>
#include <initializer_list>
#include <memory>
#include <string>

#include "google/protobuf/util/json_util.h"
#include "libs/reward/reward_function.h"
#include "tests/testing/test.h"

namespace hone::testing {

// A specification from its JSON: {"scorers": [{"name": "format", "weight": 0.1}]}.
inline v1::RewardSpec Spec(const std::string& json) {
  v1::RewardSpec spec;
  REQUIRE(google::protobuf::util::JsonStringToMessage(json, &spec).ok());
  return spec;
}

inline RewardFunction Function(const std::string& json) {
  absl::StatusOr<RewardFunction> function = RewardFunction::Create(Spec(json));
  REQUIRE_OK(function);
  return *std::move(function);
}

inline v1::ScoreItem Item(const std::string& completion, const std::string& prompt_json = "{}",
                          v1::FinishReason finish = v1::FINISH_REASON_STOP_TOKEN) {
  v1::ScoreItem item;
  item.set_item_id(1);
  item.set_completion(completion);
  item.set_finish_reason(finish);
  REQUIRE(google::protobuf::util::JsonStringToMessage(prompt_json, item.mutable_prompt()).ok());
  return item;
}

// What one scorer says: "SCORED 1", "UNPARSED 0", "BUDGET 0".
inline std::string Said(const v1::Verdict& verdict, int part = 0) {
  const v1::ScorePart& p = verdict.parts(part);
  return v1::Outcome_Name(p.outcome()).substr(8) + " " + std::to_string(p.value()).substr(0, 1);
}

// CPU time of this thread: what is measured does not depend on what else the machine does.
inline double ThreadSeconds() {
  timespec t;
  REQUIRE(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace hone::testing
