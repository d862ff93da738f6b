// Runs: made, paused, ended.

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "libs/base/status.h"
#include "libs/buffer/buffer.h"
#include "libs/buffer/buffer_internal.h"

namespace hone {
namespace {

// A run's id from its spec's name: what cannot stand in an id becomes '-'.
std::string IdFrom(absl::string_view name) {
  std::string id;
  for (const char c : name.substr(0, 50)) {
    const char lower = absl::ascii_tolower(c);
    const bool alnum = absl::ascii_isalnum(lower);
    if (id.empty() && !alnum) continue;
    id.push_back(alnum || lower == '_' || lower == '.' ? lower : '-');
  }
  return id.empty() ? "run" : id;
}

// The rules without which the store could not work; libs/config checks the rest.
absl::Status CheckSpec(const v1::RunSpec& spec) {
  if (spec.stages().empty()) return absl::InvalidArgumentError("spec.stages is empty");
  std::vector<std::string> names;
  for (int i = 0; i < spec.stages_size(); ++i) {
    const v1::StageSpec& s = spec.stages(i);
    auto wrong = [&](auto&&... parts) {
      return absl::InvalidArgumentError(absl::StrCat("spec.stages[", i, "]", parts...));
    };
    HONE_RETURN_IF_ERROR(CheckName(absl::StrCat("spec.stages[", i, "].name"), s.name()));
    if (s.kind_case() == v1::StageSpec::KIND_NOT_SET)
      return wrong(" has no kind: pretrain, sft or grpo is expected");
    if (Steps(s) <= 0) return wrong(".steps is ", Steps(s), ", expected > 0");
    if (s.has_grpo() && s.grpo().prompts_per_step() <= 0)
      return wrong(".grpo.prompts_per_step is ", s.grpo().prompts_per_step(), ", expected > 0");
    if (s.has_grpo() && s.grpo().group_size() <= 0)
      return wrong(".grpo.group_size is ", s.grpo().group_size(), ", expected > 0");
    if (s.has_grpo() && s.grpo().max_staleness() < 0)
      return wrong(".grpo.max_staleness is ", s.grpo().max_staleness(), ", expected >= 0");
    names.push_back(absl::StrCat("stage ", s.name()));
  }
  for (int i = 0; i < spec.evaluations_size(); ++i) {
    const v1::EvaluationSpec& e = spec.evaluations(i);
    HONE_RETURN_IF_ERROR(CheckName(absl::StrCat("spec.evaluations[", i, "].name"), e.name()));
    if (e.samples() < 0 || e.every_steps() < 0 || e.max_prompts() < 0)
      return absl::InvalidArgumentError(
          absl::StrCat("spec.evaluations[", i, "] has a negative number"));
    names.push_back(absl::StrCat("evaluation ", e.name()));
  }
  std::sort(names.begin(), names.end());
  if (auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    return absl::InvalidArgumentError(absl::StrCat("spec names ", *twice, " twice"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::StoredRun> Buffer::LoadLiveRun(const std::string& run_id) const {
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRun(*store_, run_id));
  if (!Ended(run.run().state())) return run;
  return absl::FailedPreconditionError(
      absl::StrCat("run \"", run_id, "\" has ended: ", ShortName(run.run().state())));
}

void Buffer::PutRun(WriteBatch& batch, v1::StoredRun& run) const {
  run.mutable_run()->set_revision(run.run().revision() + 1);
  batch.Put(keys::Run(run.run().id()), run);
}

absl::StatusOr<v1::Run> Buffer::CreateRun(const v1::CreateRunRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_RETURN_IF_ERROR(CheckSpec(request.spec()));
  for (const std::string& id : PromptSetsOf(request.spec())) {
    absl::StatusOr<v1::PromptSet> set = sets_.Get(id);
    if (absl::IsNotFound(set.status()))
      return absl::FailedPreconditionError(std::string(set.status().message()));
    HONE_RETURN_IF_ERROR(set.status());
    if (!set->sealed())
      return absl::FailedPreconditionError(
          absl::StrCat("prompt set \"", id, "\" is not sealed yet"));
  }
  std::string id = request.run_id().empty() ? IdFrom(request.spec().name()) : request.run_id();
  for (int attempt = 2;; ++attempt) {
    absl::StatusOr<v1::StoredRun> old = LoadRun(*store_, id);
    if (absl::IsNotFound(old.status())) break;
    HONE_RETURN_IF_ERROR(old.status());
    const bool same =
        google::protobuf::util::MessageDifferencer::Equals(old->run().spec(), request.spec());
    // A name without an id asks for a new run when the old one is over.
    if (same && (!request.run_id().empty() || !Ended(old->run().state()))) return old->run();
    if (!request.run_id().empty())
      return absl::AlreadyExistsError(absl::StrCat("run \"", id, "\" has another spec"));
    id = absl::StrCat(IdFrom(request.spec().name()), "-", attempt);
  }
  v1::StoredRun run;
  run.mutable_run()->set_id(id);
  *run.mutable_run()->mutable_spec() = request.spec();
  run.mutable_run()->set_state(v1::RUN_STATE_PENDING);
  run.mutable_run()->set_checkpoint_step(-1);
  *run.mutable_run()->mutable_create_time() = ToTimestamp(options_.clock->WallNow());
  if (request.validate_only()) return run.run();
  WriteBatch batch;
  PutRun(batch, run);
  HONE_RETURN_IF_ERROR(store_->Write(batch));
  announce.topics |= kRuns;
  return run.run();
}

absl::StatusOr<v1::Run> Buffer::GetRun(const std::string& run_id) const {
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRun(*store_, run_id));
  return std::move(*run.mutable_run());
}

absl::StatusOr<v1::ListRunsResponse> Buffer::ListRuns(const v1::ListRunsRequest& request) const {
  HONE_ASSIGN_OR_RETURN(const int limit, PageSize(request.page_size()));
  v1::ListRunsResponse response;
  absl::Status parsed;
  HONE_RETURN_IF_ERROR(store_->Scan(
      keys::Runs(), request.page_token().empty() ? "" : keys::Run(request.page_token()),
      [&](absl::string_view key, absl::string_view value) {
        v1::StoredRun run;
        parsed = Parse(key, value, &run);
        if (!parsed.ok()) return false;
        if (response.runs_size() == limit) {
          response.set_next_page_token(run.run().id());
          return false;
        }
        *response.add_runs() = std::move(*run.mutable_run());
        return true;
      }));
  HONE_RETURN_IF_ERROR(parsed);
  return response;
}

absl::Status Buffer::SetState(const std::string& run_id, v1::RunState from, v1::RunState to,
                              v1::Run* result) {
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRun(*store_, run_id));
  if (run.run().state() != to) {
    if (run.run().state() != from)
      return absl::FailedPreconditionError(absl::StrCat("run \"", run_id, "\" is ",
                                                        ShortName(run.run().state()), ", expected ",
                                                        ShortName(from)));
    run.mutable_run()->set_state(to);
    WriteBatch batch;
    PutRun(batch, run);
    HONE_RETURN_IF_ERROR(store_->Write(batch));
  }
  *result = std::move(*run.mutable_run());
  return absl::OkStatus();
}

absl::StatusOr<v1::Run> Buffer::PauseRun(const std::string& run_id) {
  Announce announce(*this);
  MutexLock lock(mu_);
  v1::Run run;
  HONE_RETURN_IF_ERROR(SetState(run_id, v1::RUN_STATE_RUNNING, v1::RUN_STATE_PAUSED, &run));
  announce.topics |= kRuns;
  return run;
}

absl::StatusOr<v1::Run> Buffer::ResumeRun(const std::string& run_id) {
  Announce announce(*this);
  MutexLock lock(mu_);
  v1::Run run;
  HONE_RETURN_IF_ERROR(SetState(run_id, v1::RUN_STATE_PAUSED, v1::RUN_STATE_RUNNING, &run));
  announce.topics |= kRuns | kWork;
  return run;
}

absl::StatusOr<v1::Run> Buffer::CancelRun(const std::string& run_id) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRun(*store_, run_id));
  if (run.run().state() == v1::RUN_STATE_CANCELLED) return run.run();
  HONE_RETURN_IF_ERROR(LoadLiveRun(run_id).status());
  WriteBatch batch;
  HONE_RETURN_IF_ERROR(EndRun(batch, run, v1::RUN_STATE_CANCELLED, ""));
  HONE_RETURN_IF_ERROR(store_->Write(batch));
  announce.topics |= kEverything;
  return run.run();
}

absl::Status Buffer::EndRun(WriteBatch& batch, v1::StoredRun& run, v1::RunState state,
                            const std::string& message) {
  const std::string& id = run.run().id();
  const std::string reason = absl::StrCat("run ", absl::AsciiStrToLower(ShortName(state)));
  HONE_ASSIGN_OR_RETURN(std::vector<IssueQueue> queues, OpenQueues(run.run()));
  for (IssueQueue& queue : queues) {
    HONE_RETURN_IF_ERROR(DropOpen(batch, queue, reason));
    queue.Save(batch);
    if (!queue.id().evaluation) continue;
    v1::Evaluation e;
    HONE_RETURN_IF_ERROR(
        store_->Get(keys::Evaluation(id, queue.id().version, queue.id().name), &e));
    HONE_RETURN_IF_ERROR(Finish(batch, id, std::move(e), queue, nullptr, reason));
  }
  run.mutable_run()->set_state(state);
  run.mutable_run()->set_message(message);
  *run.mutable_run()->mutable_end_time() = ToTimestamp(options_.clock->WallNow());
  PutRun(batch, run);
  return absl::OkStatus();
}

}  // namespace hone
