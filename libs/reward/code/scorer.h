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

// Adds to `options` what the programs of `code` need: the Python that is loaded once for all of
// them, and read access to the folder of the precompiled C++ header ($HONE_CODE_CACHE, else a folder
// of this user in /var/tmp; made where it is missing).
void PrepareForCode(sandbox::Options& options);

// Adds `code` to `registry`. `sandbox` was made with such options, must outlive the scorers and
// needs two slots at least. ALREADY_EXISTS when the name is taken.
absl::Status RegisterCodeScorers(Registry& registry, sandbox::Sandbox* sandbox);

}  // namespace hone
