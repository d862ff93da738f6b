#include <utility>

#include "libs/base/check.h"
#include "libs/base/status.h"
#include "libs/reward/contains.h"
#include "libs/reward/countdown.h"
#include "libs/reward/format.h"
#include "libs/reward/language/scorer.h"
#include "libs/reward/length.h"
#include "libs/reward/math/scorer.h"
#include "libs/reward/registry.h"
#include "libs/reward/repetition.h"

namespace hone {

absl::Status RegisterBuiltinScorers(Registry& registry) {
  const std::pair<ScorerInfo, Registry::Factory> all[] = {
      {{"contains", "the completion contains a given text", "1"}, MakeContainsScorer},
      {{"countdown", "an expression of exactly the given numbers that reaches the target", "2"},
       MakeCountdownScorer},
      {{"format", "thoughts and answer stand in their tags", "2"}, MakeFormatScorer},
      {{"language", "share of the thoughts' words that are in one language", "1"},
       MakeLanguageScorer},
      {{"length", "near a target, or below a maximum with DAPO's slope", "1"}, MakeLengthScorer},
      {{"math", "the final answer equals the reference, by value: numbers, formulas, lists ...", "3"},
       MakeMathScorer},
      {{"repetition", "does not say the same again and again (n-grams)", "1"},
       MakeRepetitionScorer},
  };
  for (const auto& [info, factory] : all) HONE_RETURN_IF_ERROR(registry.Register(info, factory));
  return absl::OkStatus();
}

const Registry& BuiltinScorers() {
  static const Registry* registry = [] {
    auto* r = new Registry;
    const absl::Status status = RegisterBuiltinScorers(*r);
    HONE_CHECK(status.ok()) << status.ToString();
    return r;
  }();
  return *registry;
}

}  // namespace hone
