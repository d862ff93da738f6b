#pragma once

// Is a group what its lease asked for?

#include <cstdint>

#include "absl/status/status.h"
#include "proto/hone/v1/storage.pb.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone {

// INVALID_ARGUMENT naming the completion and the field when `group` does not fit `issue` or itself.
absl::Status CheckGroup(const v1::Group& group, const v1::StoredIssue& issue, int group_size);

// XXH3-64 over the bits that generation determines: prompt ids, seed, version, and of each
// completion the ids, logprobs, kept mass, versions and finish reason. Not the timings nor the
// verdicts, which may differ when the same group is made again.
uint64_t GroupDigest(const v1::Group& group);

}  // namespace hone
