#pragma once

// What this machine allows, found out by doing it.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/sandbox/cgroup.h"
#include "libs/sandbox/forker.h"
#include "libs/sandbox/runner/wire.h"
#include "libs/sandbox/sandbox.h"

namespace hone::sandbox {

struct Isolation {
  Level level = Level::kLimits;
  wire::Config config = {};
  bool unique_identities = false;      // each slot can be a user of its own
  std::optional<CgroupRoots> cgroups;  // at kCgroups
  std::string cgroup_set;
  std::unique_ptr<Forker> runner;   // the forker of programs, started at that level
  std::vector<std::string> report;  // a line for each mechanism
};

// Tries levels from `options.maximum` down with a real slot each. `root` is an empty folder of
// ours. FAILED_PRECONDITION, with what is missing, when none is at least `options.minimum`.
absl::StatusOr<Isolation> FindIsolation(const Options& options, const std::string& root);

absl::string_view LevelName(Level level);

}  // namespace hone::sandbox
