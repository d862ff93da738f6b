#pragma once

// A forker's own view of the machine, and each slot's part of it.

#include "libs/sandbox/runner/wire.h"

namespace hone::sandbox {

// Moves this process into its own user, mount, net, ipc and uts namespaces, with a root that holds
// nothing but the places of `config` (not to be written) and an empty folder /work. The step that
// failed, with errno; kNone: all is well.
wire::Step EnterNamespaces(const wire::Config& config);

// As fork; the child is the first process of a new pid namespace, with its own mounts and System V
// IPC. The C library of the child does not know its thread: it makes system calls and forks, no
// more.
int ForkIntoNamespaces();

// In such a child: an empty file system of `bytes` at /work, and a descriptor of it; -1, with
// errno.
int MountWorkFolder(int64_t bytes, bool run);

}  // namespace hone::sandbox
