#pragma once

#include "libs/sandbox/runner/slot.h"

namespace hone::sandbox {

// Forks; returns in the child, which becomes the program. The parent stays to reap whatever the
// program leaves behind, reports how the program itself ended, kills the rest and exits. As the
// first process of a pid namespace its end is the end of all others.
void Supervise(bool first_of_namespace);

}  // namespace hone::sandbox
