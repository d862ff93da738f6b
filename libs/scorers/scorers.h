#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/reward/lean/verifier.h"
#include "libs/reward/registry.h"
#include "libs/sandbox/sandbox.h"

namespace hone {

// What scorers may use beside the processor, as command lines name it.
struct ScorerResources {
  std::string sandbox = "off";  // or the least isolation that will do: l0, l1, l2, l3
  int sandbox_slots = 0;        // programs at once, at least 2; 0: twice the cores
  std::string verifiers;        // YAML file of a VerifiersSpec; empty: no models and no Lean
};

// The values of ScorerResources.sandbox.
const std::vector<std::string>& SandboxChoices();

// Every scorer of this build. One whose resource is missing is known and says what it lacks
// (FAILED_PRECONDITION).
class Scorers {
 public:
  // INVALID_ARGUMENT for resources that make no sense, with file and line for those of the file;
  // FAILED_PRECONDITION when the sandbox cannot be had at that level, with what is missing.
  static absl::StatusOr<std::unique_ptr<Scorers>> Create(const ScorerResources& resources);

  // Thread-safe; gone with this object, and so are the scorers that it made.
  const Registry& registry() const { return registry_; }
  // How many items can be scored at once without one waiting for the programs, requests or Lean
  // processes of another: the least that any of the resources allows, 1 to 128.
  int items_at_once() const { return items_at_once_; }
  // For people: the sandbox's level and mechanisms. Empty without one.
  std::string Describe() const;

 private:
  Scorers() = default;

  std::unique_ptr<sandbox::Sandbox> sandbox_;
  std::unique_ptr<LeanVerifier> lean_;
  int items_at_once_ = 128;
  Registry registry_;
};

}  // namespace hone
