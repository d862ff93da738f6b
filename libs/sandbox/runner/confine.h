#pragma once

// What a process gives up for good. Each function leaves errno when it returns false.

#include "libs/sandbox/runner/wire.h"

namespace hone::sandbox {

// Every capability, and the way to new ones.
bool DropPrivileges();

// Becomes `id`, user and group; needs to be root. With `keep` it keeps its capabilities.
bool TakeIdentity(uint32_t id, bool keep);

// Landlock: from now on this process may read and run what `config` names, write beneath the folder
// `work` (and run what is there, with `run`), and nothing else.
bool RestrictFiles(const wire::Config& config, int work, bool run);

// seccomp.
bool RestrictCalls(const wire::Filter& filter);

}  // namespace hone::sandbox
