#include "libs/scorers/scorers.h"

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/config/config.h"
#include "libs/reward/code/scorer.h"
#include "libs/reward/lean/scorer.h"
#include "libs/reward/model/scorers.h"
#include "proto/hone/v1/verifiers.pb.h"

namespace hone {
namespace {

int Slots(const ScorerResources& resources) {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return resources.sandbox_slots > 0 ? resources.sandbox_slots : 2 * cores;
}

// The least of `most` and what the verifiers take; defaults as verifiers.proto says.
int AtOnce(const v1::VerifiersSpec& verifiers, int most) {
  const auto least = [&most](int value, int fallback) {
    most = std::min(most, value > 0 ? value : fallback);
  };
  for (const auto& [name, backend] : verifiers.backends()) least(backend.concurrency(), 16);
  if (verifiers.lean().has_server())
    least(verifiers.lean().server().concurrency(), 16);
  else if (verifiers.has_lean())
    least(verifiers.lean().processes(), 2);
  return most;
}

absl::StatusOr<std::unique_ptr<sandbox::Sandbox>> MakeSandbox(const ScorerResources& resources) {
  const std::vector<std::string>& choices = SandboxChoices();
  const auto it = std::find(choices.begin(), choices.end(), resources.sandbox);
  if (it == choices.end())
    return absl::InvalidArgumentError(absl::StrCat(
        "sandbox is \"", resources.sandbox, "\", expected one of ", absl::StrJoin(choices, ", ")));
  if (it == choices.begin()) return nullptr;
  sandbox::Options options;
  options.minimum = static_cast<sandbox::Level>(it - choices.begin() - 1);
  options.slots = Slots(resources);
  if (options.slots < 2)
    return absl::InvalidArgumentError(absl::StrCat(
        "sandbox slots are ", options.slots, ", expected 2 and more: a test has two programs"));
  PrepareForCode(options);
  return sandbox::Sandbox::Create(options);
}

}  // namespace

const std::vector<std::string>& SandboxChoices() {
  static const auto* choices = new std::vector<std::string>{"off", "l0", "l1", "l2", "l3"};
  return *choices;
}

absl::StatusOr<std::unique_ptr<Scorers>> Scorers::Create(const ScorerResources& resources) {
  auto scorers = std::unique_ptr<Scorers>(new Scorers);
  HONE_RETURN_IF_ERROR(RegisterBuiltinScorers(scorers->registry_));

  HONE_ASSIGN_OR_RETURN(scorers->sandbox_, MakeSandbox(resources));
  if (scorers->sandbox_ != nullptr) {
    HONE_RETURN_IF_ERROR(RegisterCodeScorers(scorers->registry_, scorers->sandbox_.get()));
    scorers->items_at_once_ =
        std::min(scorers->items_at_once_, Slots(resources) / 2);  // a test has two programs
  } else {
    HONE_RETURN_IF_ERROR(scorers->registry_.RegisterUnavailable(
        {"code", "the program in the completion passes the prompt's tests, in a sandbox", "1"},
        "there is no sandbox (start with --sandbox l1, or another level)"));
  }

  v1::VerifiersSpec verifiers;
  if (!resources.verifiers.empty())
    HONE_RETURN_IF_ERROR(ReadYamlFile(resources.verifiers, &verifiers));
  if (verifiers.has_lean()) {
    HONE_ASSIGN_OR_RETURN(scorers->lean_, lean::FromSpec(verifiers.lean()));
  }
  scorers->items_at_once_ = AtOnce(verifiers, scorers->items_at_once_);
  HONE_RETURN_IF_ERROR(RegisterLeanScorers(scorers->registry_, scorers->lean_.get()));
  HONE_ASSIGN_OR_RETURN(ModelBackends backends, ModelBackends::Create(verifiers));
  HONE_RETURN_IF_ERROR(RegisterModelScorers(scorers->registry_, std::move(backends)));
  return scorers;
}

std::string Scorers::Describe() const {
  return sandbox_ == nullptr ? "" : sandbox_->Describe();
}

}  // namespace hone
