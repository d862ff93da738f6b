#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// What is wrong with one value: `path` as in "stages[1].grpo.group_size", `message` as in "1
// (expected at least 2)".
struct FieldViolation {
  std::string path;
  std::string message;
};

// Every rule that a run must keep beyond the types of its fields; empty when all hold. Accepts a
// spec before or after ApplyDefaults (zeros that mean a default are fine). Whether files and prompt
// sets exist is not asked.
std::vector<FieldViolation> Validate(const v1::RunSpec& spec);

// The rules of sampling parameters alone; `path` is theirs, or "" for a bare message.
std::vector<FieldViolation> Validate(const v1::SamplingParams& sampling, const std::string& path);

// INVALID_ARGUMENT with all violations in the message and as a google.rpc.BadRequest payload (which
// libs/rpc sends as error details); OK when there are none.
absl::Status ToStatus(const std::vector<FieldViolation>& violations);

// True for an id as in run_id and prompt_set.id: [a-z0-9][a-z0-9_.-]{0,62}.
bool IsId(absl::string_view id);

}  // namespace hone
