#pragma once

// Advantages of groups: how much better than its siblings each completion of a prompt did.
//
// Double precision throughout. A group whose rewards are all equal gets exactly 0, decided by
// comparing the rewards and not by a computed deviation: in float32 sixteen rewards of 0.7 give
// deviations that normalise to 0.96 instead of 0.
//
// Advantages are computed once per rollout batch, before it is split into minibatches.
// All functions are pure and thread-safe.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// The fields that an AdvantageSpec preset stands for (libs/train/README.md has the table).
// Error: kNotFound with the known names.
absl::StatusOr<v1::AdvantageSpec> AdvantagePreset(absl::string_view name);

// One completion as the advantage sees it.
struct ScoredSample {
  // Empty: it could not be scored. NaN and infinities count as empty.
  std::optional<double> reward;
  bool truncated = false;  // ended by its length limit
};

// What the loss does with a completion.
enum class SampleUse : uint8_t {
  kTrain,
  kMask,  // stays in its group and in the count of sequences, but none of its tokens is trained
  kDrop,  // in no group, no count and no minibatch
};

struct GroupAdvantages {
  std::vector<double> advantage;  // [samples]; 0 unless use is kTrain or kMask
  std::vector<SampleUse> use;     // [samples]
  int scorable = 0;               // samples in the group's statistics
  double mean = 0;                // of their rewards
  double min = 0, max = 0;
  // The group has fewer than min_group scorable samples: every use is kDrop.
  bool dropped = false;
  // All scorable rewards are equal (one sample always is): every advantage is exactly 0.
  bool zero_variance = false;
};

// Immutable; built once per stage.
class AdvantageEstimator {
 public:
  // `min_group`: scorable completions that a group needs; 0: half of `group_size`, at least 2.
  // Errors: kInvalidArgument for a preset beside explicit fields, ddof outside {0, 1} or non-finite
  // eps.
  static absl::StatusOr<AdvantageEstimator> Create(const v1::AdvantageSpec& spec,
                                                   v1::TruncationMode truncation, int group_size,
                                                   int min_group);

  // One result per group, in order. Only KIND_BATCH_STD lets groups touch each other.
  std::vector<GroupAdvantages> Compute(std::span<const std::vector<ScoredSample>> groups) const;

 private:
  AdvantageEstimator() = default;
  GroupAdvantages Statistics(std::span<const ScoredSample> group) const;

  v1::AdvantageSpec::Kind kind_ = v1::AdvantageSpec::KIND_GROUP_STD;
  v1::TruncationMode truncation_ = v1::TRUNCATION_MODE_KEEP;
  double eps_ = 0;
  int ddof_ = 0;
  int min_group_ = 0;
};

// Step metrics of a batch of groups; README.md lists them. `groups` and `results` correspond.
std::map<std::string, double> AdvantageMetrics(std::span<const std::vector<ScoredSample>> groups,
                                               std::span<const GroupAdvantages> results);

}  // namespace hone
