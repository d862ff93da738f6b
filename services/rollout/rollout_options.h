#pragma once

#include "CLI/CLI.hpp"
#include "libs/loop/rollout_loop.h"

namespace hone {

// Flags of a process that generates: its engine. `options` must live until the flags are parsed.
void AddRolloutOptions(CLI::App& app, RolloutLoop::Options& options);

}  // namespace hone
