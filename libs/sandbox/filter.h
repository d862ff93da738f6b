#pragma once

// Which system calls a program may make. A list of what is allowed: what is not on it fails with
// EPERM, or with ENOSYS where the C library then takes an older way.

#include "absl/status/status.h"
#include "libs/sandbox/runner/wire.h"

namespace hone::sandbox {

struct FilterOptions {
  wire::FilterKind kind = wire::FilterKind::kPython;
  // The uid is also that of processes outside (no namespaces, not root): calls that change a file
  // by its path are refused, since Landlock does not see them all, and those that leave the process
  // group, by which programs are killed.
  bool shared_identity = false;
  // Signals cannot reach beyond the sandbox (a pid namespace, or Landlock 6).
  bool signals_confined = false;
};

// FAILED_PRECONDITION when libseccomp cannot make it.
absl::Status MakeFilter(const FilterOptions& options, wire::Filter& filter);

}  // namespace hone::sandbox
