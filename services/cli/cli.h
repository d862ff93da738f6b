#pragma once

// The program `hone` as a function, so that tests can call it.

#include <string>
#include <vector>

#include "services/cli/output.h"

namespace hone::cli {

// What `hone` exits with. Part of its interface: scripts depend on these numbers.
enum ExitCode : int {
  kExitOk = 0,
  kExitError = 1,
  kExitUsage = 2,
  kExitNotFound = 3,
  kExitUnavailable = 4,
  kExitRunFailed = 10,     // the run that was watched failed or was cancelled
  kExitInterrupted = 130,  // Ctrl-C; a run that was watched goes on
};

// `arguments` without the program's name. Everything is written to `output`; what is returned is
// the exit code. Reads HONE_COORDINATOR. One call at a time.
int Main(const std::vector<std::string>& arguments, Output& output);

}  // namespace hone::cli
