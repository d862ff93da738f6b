#pragma once

// The scorer `code`: runs a prompt's tests on the program in a completion. README.md says what each
// language guarantees.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/reward/registry.h"
#include "libs/sandbox/sandbox.h"

namespace hone {

// Where the precompiled C++ header is kept: $HONE_CODE_CACHE, else a folder of this user in
// /var/tmp; made where it is missing. Put it among the folders that sandboxed programs may read
// (sandbox::Options.readable).
std::string CodeCacheFolder();

// What testers and most programs import: for sandbox::Options.python_imports, so that it is loaded
// once.
std::vector<std::string> CodePythonImports();

// Adds `code` to `registry`. `sandbox` must outlive the scorers and needs two slots at least.
// ALREADY_EXISTS when the name is taken.
absl::Status RegisterCodeScorers(Registry& registry, sandbox::Sandbox* sandbox);

}  // namespace hone
