#pragma once

#include "libs/sandbox/runner/slot.h"

namespace hone::sandbox {

// Forks; returns in the child, which becomes the program. The parent stays to reap whatever the
// program leaves behind, reports how the program itself ended, kills the rest and exits. As the
// first process of a pid namespace its end is the end of all others. `own_user`: no process of
// another slot, nor of the host, has this process's uid.
void Supervise(bool first_of_namespace, bool own_user);

}  // namespace hone::sandbox
