#include "libs/base/check.h"
#include "libs/reward/contains.h"
#include "libs/reward/countdown.h"
#include "libs/reward/format.h"
#include "libs/reward/math/scorer.h"
#include "libs/reward/registry.h"

namespace hone {

const Registry& BuiltinScorers() {
  static const Registry* registry = [] {
    auto* r = new Registry;
    auto add = [r](ScorerInfo info, Registry::Factory factory) {
      absl::Status status = r->Register(std::move(info), std::move(factory));
      HONE_CHECK(status.ok()) << status.ToString();
    };
    add({"contains", "the completion contains a given text", "1"}, MakeContainsScorer);
    add({"countdown", "an expression of exactly the given numbers that reaches the target", "1"},
        MakeCountdownScorer);
    add({"format", "thoughts and answer stand in their tags", "1"}, MakeFormatScorer);
    add({"math", "the final answer equals the reference, by value: numbers, formulas, lists ...", "2"},
        MakeMathScorer);
    return r;
  }();
  return *registry;
}

}  // namespace hone
