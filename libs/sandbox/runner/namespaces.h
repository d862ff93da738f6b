#pragma once

// A forker's own view of the machine, and each slot's part of it.

#include "libs/sandbox/runner/wire.h"

namespace hone::sandbox {

// Moves this process into its own user, mount, net, ipc and uts namespaces, with a root that holds
// nothing but the places of `config` (not to be written) and an empty folder /work. The step that
// failed, with errno; kNone: all is well. `proc` is a descriptor of /proc, which is gone
// afterwards.
wire::Step EnterNamespaces(const wire::Config& config, int proc);

// As fork; the child is the first process of new user, pid and mount namespaces, and has all
// capabilities there. `proc` is as above. The C library of the child does not know its thread: it
// makes system calls and forks, no more.
int ForkIntoNamespaces(int proc);

// In such a child: an empty file system of `bytes` at /work, and a descriptor of it; -1, with
// errno.
int MountWorkFolder(int64_t bytes, bool run);

}  // namespace hone::sandbox
