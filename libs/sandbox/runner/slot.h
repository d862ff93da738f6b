#pragma once

// A slot from its fork until the program runs.

#include <cstdint>

#include "libs/sandbox/runner/wire.h"

namespace hone::sandbox {

// Python source, in memory of the slot.
struct Source {
  const char* data = nullptr;
  int64_t size = 0;
};

// What the forker found out once, before any slot.
struct Forker {
  const wire::Config* config = nullptr;
  int64_t address_space_bytes = 0;  // of the forker itself
};

// Becomes the slot: confines this process, tells the host, waits for a task, and runs it. Returns
// only with Python source to run. `fds` are the kSpawnFds of the request.
Source RunSlot(const Forker& forker, const wire::Spawn& spawn, const int* fds);

}  // namespace hone::sandbox
