#pragma once

// A RewardSpec made ready: several scorers and their weights.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/reward/registry.h"
#include "libs/reward/scorer.h"

namespace hone {

// Thread-safe: Score may be called from many threads at once.
class RewardFunction {
 public:
  // Longer completions get OUTCOME_BUDGET from every scorer. 128k tokens stay well below it.
  static constexpr size_t kMaxCompletionBytes = size_t{2} << 20;
  static constexpr int kMaxScorers = 32;

  // INVALID_ARGUMENT, with the place in the spec, for no or too many scorers, unknown scorers or
  // options, and weights that are not finite. A weight of 0 means 1.
  static absl::StatusOr<RewardFunction> Create(const v1::RewardSpec& spec,
                                               const Registry& registry = BuiltinScorers());

  // One part per scorer, in the order of the spec. The verdict is SCORED with score = sum of weight
  // * value if every part has a value; else it has the outcome of the first part that has none, and
  // score 0. `correct`: the first scorer was SCORED with its full value, 1. An aborted completion
  // is nobody's to judge: OUTCOME_VERIFIER_UNAVAILABLE.
  // A scorer that blocks() has until `deadline`.
  v1::Verdict Score(const v1::ScoreItem& item, TimePoint deadline = kNoDeadline) const;

  // Whether any of the scorers blocks().
  bool blocks() const;

  // The scorers' names, in the order of the spec.
  std::vector<std::string> names() const;

 private:
  struct Weighted {
    std::string name;
    double weight;
    std::unique_ptr<Scorer> scorer;
  };
  std::vector<Weighted> scorers_;
};

}  // namespace hone
