#include "libs/buffer/records.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/random.h"
#include "libs/base/status.h"

namespace hone {

google::protobuf::Timestamp ToTimestamp(WallTime time) {
  const int64_t nanos = time.time_since_epoch().count();
  google::protobuf::Timestamp t;
  t.set_seconds(nanos / 1'000'000'000);
  t.set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  return t;
}

std::string ShortName(v1::IssueState state) {
  const std::string& name = v1::IssueState_Name(state);
  return std::string(absl::StripPrefix(name, "ISSUE_STATE_"));
}
std::string ShortName(v1::RunState state) {
  const std::string& name = v1::RunState_Name(state);
  return std::string(absl::StripPrefix(name, "RUN_STATE_"));
}

absl::StatusOr<v1::StoredRun> LoadRun(const Store& store, const std::string& run_id) {
  HONE_RETURN_IF_ERROR(CheckId("run id", run_id));
  v1::StoredRun run;
  absl::Status got = store.Get(keys::Run(run_id), &run);
  if (absl::IsNotFound(got)) return absl::NotFoundError(absl::StrCat("no run \"", run_id, "\""));
  HONE_RETURN_IF_ERROR(got);
  return run;
}

absl::StatusOr<std::vector<v1::StoredRun>> LoadRuns(const Store& store) {
  std::vector<v1::StoredRun> runs;
  absl::Status parsed;
  HONE_RETURN_IF_ERROR(
      store.Scan(keys::Runs(), "", [&](absl::string_view key, absl::string_view value) {
        parsed = Parse(key, value, &runs.emplace_back());
        return parsed.ok();
      }));
  HONE_RETURN_IF_ERROR(parsed);
  return runs;
}

absl::StatusOr<v1::StoredStage> LoadStage(const Store& store, const v1::Run& run,
                                          const std::string& stage) {
  if (FindStage(run.spec(), stage) == nullptr)
    return absl::NotFoundError(absl::StrCat("run \"", run.id(), "\" has no stage \"", stage, "\""));
  v1::StoredStage stored;
  absl::Status got = store.Get(keys::Stage(run.id(), stage), &stored);
  if (absl::IsNotFound(got))
    return absl::FailedPreconditionError(
        absl::StrCat("stage \"", stage, "\" of run \"", run.id(), "\" was not begun"));
  HONE_RETURN_IF_ERROR(got);
  return stored;
}

absl::StatusOr<std::vector<v1::Evaluation>> LoadOpenEvaluations(const Store& store,
                                                                const std::string& run_id) {
  std::vector<std::string> tails;
  const std::string prefix = keys::OpenEvaluations(run_id);
  HONE_RETURN_IF_ERROR(store.Scan(prefix, "", [&](absl::string_view key, absl::string_view) {
    tails.emplace_back(key.substr(prefix.size()));
    return true;
  }));
  std::vector<v1::Evaluation> open;
  for (const std::string& tail : tails)
    HONE_RETURN_IF_ERROR(store.Get(keys::Evaluations(run_id) + tail, &open.emplace_back()));
  return open;
}

const v1::StageSpec* FindStage(const v1::RunSpec& spec, const std::string& name) {
  for (const v1::StageSpec& s : spec.stages())
    if (s.name() == name) return &s;
  return nullptr;
}

const v1::EvaluationSpec* FindEvaluation(const v1::RunSpec& spec, const std::string& name) {
  for (const v1::EvaluationSpec& e : spec.evaluations())
    if (e.name() == name) return &e;
  return nullptr;
}

int64_t Steps(const v1::StageSpec& stage) {
  if (stage.has_pretrain()) return stage.pretrain().steps();
  return stage.has_grpo() ? stage.grpo().steps() : stage.sft().steps();
}

const std::string& PromptSetOf(const v1::StageSpec& stage) {
  if (stage.has_pretrain()) return stage.pretrain().prompt_set();
  return stage.has_grpo() ? stage.grpo().prompt_set() : stage.sft().prompt_set();
}

std::vector<std::string> PromptSetsOf(const v1::RunSpec& spec) {
  std::vector<std::string> sets;
  for (const v1::StageSpec& s : spec.stages()) sets.push_back(PromptSetOf(s));
  for (const v1::EvaluationSpec& e : spec.evaluations()) sets.push_back(e.prompt_set());
  std::sort(sets.begin(), sets.end());
  sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
  return sets;
}

uint64_t SamplingSeed(uint64_t run_seed, const QueueId& queue) {
  const PhiloxKey key = DeriveKey(
      KeyFromSeed(run_seed), absl::StrCat(queue.evaluation ? "evaluation " : "stage ", queue.name));
  return uint64_t{key[1]} << 32 | key[0];
}

int64_t PromptIndex(uint64_t run_seed, const std::string& stage, int64_t prompts, int64_t issue) {
  const PhiloxKey order = DeriveKey(KeyFromSeed(run_seed), absl::StrCat("prompt order ", stage));
  const Permutation epoch(DeriveKey(order, static_cast<uint64_t>(issue / prompts)),
                          static_cast<uint64_t>(prompts));
  return static_cast<int64_t>(epoch.At(static_cast<uint64_t>(issue % prompts)));
}

}  // namespace hone
