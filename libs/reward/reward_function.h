#pragma once

// A RewardSpec made ready: several scorers and their weights.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "libs/reward/registry.h"
#include "libs/reward/scorer.h"

namespace hone {

// Thread-safe: Score may be called from many threads at once.
class RewardFunction {
 public:
  // Longer completions get OUTCOME_BUDGET from every scorer. 128k tokens stay well below it.
  static constexpr size_t kMaxCompletionBytes = size_t{2} << 20;
  static constexpr int kMaxScorers = 32;

  // The longest timeout that can be asked for, in seconds.
  static constexpr double kMaxTimeout = 86400;

  // INVALID_ARGUMENT, with the place in the spec, for no or too many scorers, unknown scorers or
  // options, weights that are not finite and timeouts out of range; FAILED_PRECONDITION for a
  // scorer that `registry` has not got here. A weight of 0 means 1.
  static absl::StatusOr<RewardFunction> Create(const v1::RewardSpec& spec,
                                               const Registry& registry = BuiltinScorers());

  // One part per scorer, in the order of the spec. The verdict is SCORED with score = sum of weight
  // * value if every part has a value or abstained (reward.proto says what an abstention counts);
  // else it has the outcome of the first part that has none, and score 0. `correct`: the first
  // scorer was SCORED with its full value, 1. An aborted completion is nobody's to judge:
  // OUTCOME_VERIFIER_UNAVAILABLE.
  // An opinion() is never the only yes on a prompt that can be checked, one with a reference
  // answer, tests or a formal statement. There it is asked only after a primary scorer that is none
  // gave a value above 0; it is 0 after a 0, and VERIFIER_UNAVAILABLE where no such scorer comes
  // first. A scorer that blocks() has until `deadline`, or its own timeout if that is sooner; one
  // that would begin after `deadline` is OUTCOME_TIMEOUT.
  v1::Verdict Score(const v1::ScoreItem& item, TimePoint deadline = kNoDeadline) const;

  // A verdict in which every part has `outcome` and `reason`: of an item that no scorer has seen.
  v1::Verdict Unjudged(v1::Outcome outcome, absl::string_view reason) const;

  // Whether any of the scorers blocks().
  bool blocks() const;

  // The scorers' names, in the order of the spec.
  std::vector<std::string> names() const;

  // RewardSpec.timeout_seconds.
  double timeout_seconds() const { return timeout_seconds_; }

  // Equal for two functions only if they judge alike: the spec and the versions of its scorers,
  // timeouts left out.
  const std::string& identity() const { return identity_; }

 private:
  struct Weighted {
    std::string name;
    double weight;
    Duration timeout;  // 0: none
    std::unique_ptr<Scorer> scorer;
  };
  // What scorer `i` says without being asked, by the rule for opinions; nothing where it is asked.
  std::optional<v1::ScorePart> Withheld(size_t i, const v1::ScoreItem& item,
                                        const v1::Verdict& so_far) const;
  // Fills in what follows from the parts.
  void Conclude(v1::Verdict& verdict) const;

  std::vector<Weighted> scorers_;
  double timeout_seconds_ = 0;
  std::string identity_;
};

// The same bytes for equal messages: the fields of a Struct have no order of their own.
std::string DeterministicBytes(const google::protobuf::Message& message);

}  // namespace hone
