#pragma once

// A forker: one single-threaded process that forks slots when the host asks, and tells the host
// when they are gone. It holds nothing that a program must not see.

#include "libs/sandbox/runner/slot.h"

namespace hone::sandbox {

// Serves until the host is gone, then ends the process and with it all slots. Returns only in a
// slot, with Python source to run.
Source Serve();

}  // namespace hone::sandbox
