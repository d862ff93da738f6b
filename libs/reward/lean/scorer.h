#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/reward/lean/verifier.h"
#include "libs/reward/registry.h"

namespace hone {

// Adds scorer `lean`: 1 when the completion proves prompt.metadata.formal_statement under
// prompt.metadata.header, else 0. What follows the thoughts is read: the last ```lean block of it,
// or all of it where there is none; it holds the statement again and its proof, or only what
// follows the statement. UNPARSED: thoughts or a block that do not end. BUDGET: more than 256 KiB
// of Lean. BAD_REFERENCE: no usable statement. See LeanVerifier for the others. Option: `header`,
// for prompts without one. `verifier` outlives the registry and its scorers; null: the scorer is
// known and cannot be used (FAILED_PRECONDITION).
absl::Status RegisterLeanScorers(Registry& registry, LeanVerifier* verifier);

namespace lean {

// The last ```lean (or ```lean4) block of `text`, `text` where there is none; nothing when that
// block does not end.
std::optional<absl::string_view> LeanCode(absl::string_view text);

}  // namespace lean
}  // namespace hone
