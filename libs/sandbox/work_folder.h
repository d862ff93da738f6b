#pragma once

// A folder that a hostile program has filled: reading from it and removing it. No process of the
// program may be alive.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone::sandbox {

// The regular file at `path` beneath `folder`, which no symbolic link may lead to. NOT_FOUND when
// it is not there or is something else, RESOURCE_EXHAUSTED above `max_bytes`.
absl::StatusOr<std::string> ReadBeneath(int folder, const std::string& path, int64_t max_bytes);

// Removes all that is in `folder`, however deep and whatever its modes; links are not followed.
absl::Status Empty(int folder);

}  // namespace hone::sandbox
