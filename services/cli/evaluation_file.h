#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone::cli {

// One group per line, as proto3 JSON. The file appears whole or not at all.
absl::Status WriteGroups(const std::string& path, const std::vector<v1::Group>& groups);

}  // namespace hone::cli
