#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "libs/config/validate.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// How a run scores completions of `prompt_set`: the set's own reward, else the run's.
const v1::RewardSpec& RewardOf(const v1::RunSpec& spec, absl::string_view prompt_set);

// The rules of RunSpec.reward and RunSpec.prompt_set_rewards: whatever is scored has a scorer, each
// scorer has a name, timeouts are 0 to 86400 s, and only prompt sets that are scored have a reward,
// once.
std::vector<FieldViolation> ValidateRewards(const v1::RunSpec& spec);

}  // namespace hone
