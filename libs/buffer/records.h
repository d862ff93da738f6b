#pragma once

// Reading what is stored about runs, and what follows from a run's spec alone.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/timestamp.pb.h"
#include "libs/base/clock.h"
#include "libs/buffer/keys.h"
#include "libs/buffer/store.h"
#include "proto/hone/v1/storage.pb.h"

namespace hone {

google::protobuf::Timestamp ToTimestamp(WallTime time);

// "COMMITTED" for ISSUE_STATE_COMMITTED.
std::string ShortName(v1::IssueState state);
std::string ShortName(v1::RunState state);

inline bool Ended(v1::RunState state) {
  return state == v1::RUN_STATE_SUCCEEDED || state == v1::RUN_STATE_FAILED ||
         state == v1::RUN_STATE_CANCELLED;
}

// NOT_FOUND names the run.
absl::StatusOr<v1::StoredRun> LoadRun(const Store& store, const std::string& run_id);
absl::StatusOr<std::vector<v1::StoredRun>> LoadRuns(const Store& store);
// FAILED_PRECONDITION when the stage was not begun; NOT_FOUND when the run has no such stage.
absl::StatusOr<v1::StoredStage> LoadStage(const Store& store, const v1::Run& run,
                                          const std::string& stage);
// Not done ones, by step and name.
absl::StatusOr<std::vector<v1::Evaluation>> LoadOpenEvaluations(const Store& store,
                                                                const std::string& run_id);

// Null when there is none of that name.
const v1::StageSpec* FindStage(const v1::RunSpec& spec, const std::string& name);
const v1::EvaluationSpec* FindEvaluation(const v1::RunSpec& spec, const std::string& name);
int64_t Steps(const v1::StageSpec& stage);
const std::string& PromptSetOf(const v1::StageSpec& stage);
// Every prompt set that the spec names, each once.
std::vector<std::string> PromptSetsOf(const v1::RunSpec& spec);

inline QueueId StageQueue(const std::string& run, const std::string& stage) {
  return {run, false, stage, 0};
}
inline QueueId EvaluationQueue(const std::string& run, const v1::Evaluation& e) {
  return {run, true, e.name(), e.step()};
}

// The key of all sampling noise of a queue: stages and evaluations of one run draw different noise,
// repeats of an evaluation draw the same.
uint64_t SamplingSeed(uint64_t run_seed, const QueueId& queue);
// The prompt that issue `issue` of a stage is about: each epoch is another random order of all
// prompts.
int64_t PromptIndex(uint64_t run_seed, const std::string& stage, int64_t prompts, int64_t issue);

}  // namespace hone
