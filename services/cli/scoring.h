#pragma once

// Rewards as the command line names them, and prompt files with them.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/reward/reward_function.h"
#include "libs/scorers/scorers.h"
#include "proto/hone/v1/reward.pb.h"

namespace hone::cli {

// What scores: `--scorer name[:option=value,...]`, several times, or the `reward` of a run file.
struct RewardFlags {
  std::vector<std::string> scorers;
  std::string run_file;
  std::string prompt_set;  // of the run file: the reward of this set
  ScorerResources resources;
};

// INVALID_ARGUMENT when neither or both are given, and for values of the wrong type. A value has
// the type of its option in `known`; "\," is a comma inside a value, and options may be one JSON
// object instead: math:{"tolerance": 1e-6}. The option `weight` is the scorer's weight, `timeout`
// its timeout in seconds.
absl::StatusOr<v1::RewardSpec> ReadReward(const RewardFlags& flags,
                                          const v1::ListScorersResponse& known);

// The lines of a prompt file. INVALID_ARGUMENT names "file:line: what" for each bad one. `limit`:
// only the first so many; 0: all.
struct PromptAndLine {
  v1::Prompt prompt;
  int64_t line;  // 1-based
};
absl::StatusOr<std::vector<PromptAndLine>> ReadPromptFile(const std::string& path, int64_t limit);

}  // namespace hone::cli
