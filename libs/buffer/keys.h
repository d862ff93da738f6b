#pragma once

// Where everything lies in RocksDB: README.md has the grammar. Names end in a NUL byte and integers
// are eight bytes, big-endian, with the sign bit flipped, so that byte order is number order.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/hone/v1/run.pb.h"

namespace hone {

// One queue of issues: a grpo stage of a run, or one evaluation of a run under one weights version.
struct QueueId {
  std::string run;
  bool evaluation = false;
  std::string name;     // of the stage or evaluation
  int64_t version = 0;  // evaluations: weights version; stages: 0
};

// INVALID_ARGUMENT unless `id` matches [a-z0-9][a-z0-9_.-]{0,62}. `what` names it in the message.
absl::Status CheckId(absl::string_view what, absl::string_view id);
// INVALID_ARGUMENT unless `name` has 1 to 128 bytes, none of them a control character.
absl::Status CheckName(absl::string_view what, absl::string_view name);

namespace keys {

std::string Schema();
std::string Counters();

std::string PromptSets();
std::string PromptSet(absl::string_view set);
std::string Prompts(absl::string_view set);
std::string Prompt(absl::string_view set, int64_t index);
std::string PromptIds(absl::string_view set);
std::string PromptId(absl::string_view set, absl::string_view prompt_id);
std::string RawBytes(absl::string_view set);
std::string RawBytes(absl::string_view set, int64_t offset);

std::string Runs();
std::string Run(absl::string_view run);
std::string Stage(absl::string_view run, absl::string_view stage);
std::string Steps(absl::string_view run);
std::string Step(absl::string_view run, int64_t step);
std::string Batches(absl::string_view run);
std::string Batch(absl::string_view run, int64_t step);
std::string Evaluations(absl::string_view run);
std::string Evaluation(absl::string_view run, int64_t step, absl::string_view name);
std::string OpenEvaluations(absl::string_view run);
std::string OpenEvaluation(absl::string_view run, int64_t step, absl::string_view name);

std::string Queue(const QueueId& queue);
std::string Issues(const QueueId& queue);
std::string Issue(const QueueId& queue, int64_t issue);
std::string States(const QueueId& queue);
std::string InState(const QueueId& queue, v1::IssueState state);
std::string InState(const QueueId& queue, v1::IssueState state, int64_t issue);
std::string Group(const QueueId& queue, int64_t issue);

std::string Worker(absl::string_view role, absl::string_view worker);

std::string Number(int64_t n);
// The number that the last eight bytes of `key` are.
int64_t LastNumber(absl::string_view key);
// The smallest key above all that begin with `prefix`.
std::string After(std::string prefix);

}  // namespace keys
}  // namespace hone
