#pragma once

// Prompt sets: lists of prompts that never change once they are sealed.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/buffer/store.h"
#include "proto/hone/v1/prompt.pb.h"

namespace hone {

// Not thread-safe, but for Read and Get, which may run beside anything. `store` and `clock` must
// outlive it.
class PromptSets {
 public:
  PromptSets(Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  absl::StatusOr<v1::PromptSet> Create(const std::string& id);
  // Appends whole lines at byte `offset`: all of them or none. OUT_OF_RANGE names the committed
  // offset; INVALID_ARGUMENT lists bad lines; FAILED_PRECONDITION when sealed.
  absl::StatusOr<v1::PromptSet> Append(const std::string& id, int64_t offset,
                                       absl::string_view lines);
  // `sha256`: hex, or empty. DATA_LOSS when it is not that of the uploaded bytes.
  absl::StatusOr<v1::PromptSet> Seal(const std::string& id, const std::string& sha256);
  absl::StatusOr<v1::PromptSet> Get(const std::string& id) const;
  absl::StatusOr<v1::ListPromptSetsResponse> List(const v1::ListPromptSetsRequest& request) const;
  absl::Status Delete(const std::string& id);
  // Visits up to `limit` prompts (0: all) from index `start` on; false stops.
  absl::Status Read(const std::string& id, int64_t start, int64_t limit,
                    const std::function<bool(v1::Prompt)>& visit) const;
  absl::StatusOr<v1::Prompt> Prompt(const std::string& id, int64_t index) const;

 private:
  Store& store_;
  const Clock& clock_;
};

// 0: 100; more than 1000: 1000. INVALID_ARGUMENT when negative.
absl::StatusOr<int> PageSize(int32_t requested);

}  // namespace hone
