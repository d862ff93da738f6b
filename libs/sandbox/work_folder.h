#pragma once

// A folder that a hostile program has filled: reading from it and removing it. No process of the
// program may be alive, unless said otherwise.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone::sandbox {

// The regular file at `path` beneath `folder`, which no symbolic link may lead to. NOT_FOUND when
// it is not there or is something else, RESOURCE_EXHAUSTED above `max_bytes`.
absl::StatusOr<std::string> ReadBeneath(int folder, const std::string& path, int64_t max_bytes);

// Whether the files in `folder`, at any depth, take at most `bytes`, and are at most one for 4 KiB
// (and 64 more). May be asked while the program runs.
bool HoldsAtMost(int folder, int64_t bytes);

// Removes all that is in `folder`, however deep and whatever its modes; links are not followed.
absl::Status Empty(int folder);

}  // namespace hone::sandbox
