// What the learner asks for.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status.h"
#include "libs/buffer/buffer.h"
#include "libs/buffer/buffer_internal.h"

namespace hone {

absl::StatusOr<v1::StoredRun> Buffer::LoadRunOf(const std::string& run_id, uint64_t incarnation) {
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRun(*store_, run_id));
  if (incarnation != 0 && incarnation != run.learner_incarnation())
    return absl::AbortedError(absl::StrCat(
        "run \"", run_id, "\" was acquired by learner \"", run.learner_id(), "\" incarnation ",
        run.learner_incarnation(), ", not by the caller's ", incarnation));
  learners_.Assume(run.learner_id());  // whatever it asks, it is alive
  return run;
}

absl::StatusOr<v1::StoredRun> Buffer::LoadLiveRunOf(const std::string& run_id,
                                                    uint64_t incarnation) {
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRunOf(run_id, incarnation));
  if (!Ended(run.run().state())) return run;
  return absl::AbortedError(
      absl::StrCat("run \"", run_id, "\" has ended: ", ShortName(run.run().state())));
}

absl::StatusOr<v1::AcquireRunResponse> Buffer::AcquireRun(const v1::AcquireRunRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  bool fresh = false;
  HONE_RETURN_IF_ERROR(learners_.Hear(request.learner_id(), request.incarnation(), &fresh));
  HONE_ASSIGN_OR_RETURN(std::vector<v1::StoredRun> runs, LoadRuns(*store_));
  v1::StoredRun* chosen = nullptr;
  auto created = [](const v1::StoredRun& r) {
    return std::make_tuple(r.run().create_time().seconds(), r.run().create_time().nanos());
  };
  for (v1::StoredRun& run : runs) {
    if (Ended(run.run().state())) continue;
    if (run.learner_id() == request.learner_id()) {
      chosen = &run;
      break;
    }
    if (learners_.Find(run.learner_id()) != nullptr) continue;
    if (chosen == nullptr || created(run) < created(*chosen)) chosen = &run;
  }
  learners_.Find(request.learner_id())->run_id = chosen == nullptr ? "" : chosen->run().id();
  v1::AcquireRunResponse response;
  if (chosen == nullptr) return response;
  v1::StoredRun& run = *chosen;
  // A heartbeat changes nothing and costs no write.
  if (run.learner_id() != request.learner_id() ||
      run.learner_incarnation() != request.incarnation() ||
      run.weights_address() != request.weights_address() ||
      run.run().state() == v1::RUN_STATE_PENDING) {
    run.set_learner_id(request.learner_id());
    run.set_learner_incarnation(request.incarnation());
    run.set_weights_address(request.weights_address());
    if (run.run().state() == v1::RUN_STATE_PENDING)
      run.mutable_run()->set_state(v1::RUN_STATE_RUNNING);
    WriteBatch batch;
    PutRun(batch, run);
    HONE_RETURN_IF_ERROR(store_->Write(batch));
    announce.topics |= kRuns | kWork;
  }
  response.set_run_id(run.run().id());
  *response.mutable_spec() = run.run().spec();
  response.set_checkpoint_step(run.run().checkpoint_step());
  response.set_checkpoint_path(run.run().checkpoint_path());
  response.set_highest_version(run.run().step());
  response.set_state(run.run().state());
  return response;
}

absl::Status Buffer::BeginStage(const v1::BeginStageRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadLiveRunOf(request.run_id(), request.incarnation()));
  absl::StatusOr<v1::StoredStage> old = LoadStage(*store_, run.run(), request.stage());
  if (old.ok()) {
    if (old->first_step() == request.first_step()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("stage \"", request.stage(),
                                                      "\" was begun after step ", old->first_step(),
                                                      ", not after step ", request.first_step()));
  }
  if (!absl::IsFailedPrecondition(old.status())) return old.status();
  if (request.first_step() != run.run().step())
    return absl::FailedPreconditionError(
        absl::StrCat("stage \"", request.stage(), "\" cannot begin after step ",
                     request.first_step(), ": the newest step is ", run.run().step()));
  for (const v1::StageSpec& before : run.run().spec().stages()) {
    if (before.name() == request.stage()) break;
    HONE_ASSIGN_OR_RETURN(const v1::StoredStage stage,
                          LoadStage(*store_, run.run(), before.name()));
    if (!stage.ended())
      return absl::FailedPreconditionError(absl::StrCat(
          "stage \"", request.stage(), "\" cannot begin before \"", before.name(), "\" has ended"));
  }
  const v1::StageSpec& spec = *FindStage(run.run().spec(), request.stage());
  WriteBatch batch;
  v1::StoredStage stage;
  stage.set_name(request.stage());
  stage.set_first_step(request.first_step());
  batch.Put(keys::Stage(run.run().id(), request.stage()), stage);
  if (spec.has_grpo()) {
    HONE_ASSIGN_OR_RETURN(const v1::PromptSet set, sets_.Get(spec.grpo().prompt_set()));
    v1::StoredQueue head;
    head.set_prompt_set(set.id());
    head.set_prompts(set.prompts());
    IssueQueue::Make(*store_, StageQueue(run.run().id(), spec.name()), std::move(head)).Save(batch);
  }
  run.mutable_run()->set_stage(spec.name());
  run.mutable_run()->set_stage_step(0);
  run.mutable_run()->set_stage_steps(Steps(spec));
  PutRun(batch, run);
  HONE_RETURN_IF_ERROR(store_->Write(batch));
  announce.topics |= kWork | kRuns;
  return absl::OkStatus();
}

absl::StatusOr<v1::StoredBatch> Buffer::PullBatch(const v1::PullBatchRequest& request,
                                                  std::vector<int64_t>* sure) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(const v1::StoredRun run,
                        LoadLiveRunOf(request.run_id(), request.incarnation()));
  HONE_ASSIGN_OR_RETURN(v1::StoredStage stage, LoadStage(*store_, run.run(), request.stage()));
  const v1::StageSpec& spec = *FindStage(run.run().spec(), request.stage());
  const int64_t s = request.stage_step();
  if (!spec.has_grpo() || s < 1 || s > Steps(spec) || request.step() != stage.first_step() + s)
    return absl::InvalidArgumentError(
        absl::StrCat("no batch for step ", request.step(), " = step ", s, " of stage \"",
                     request.stage(), "\", a ", spec.has_grpo() ? "grpo" : "supervised", " stage of ",
                     Steps(spec), " steps after step ", stage.first_step()));
  v1::StoredBatch assigned;
  const absl::Status got = store_->Get(keys::Batch(run.run().id(), request.step()), &assigned);
  if (got.ok()) return assigned;
  if (!absl::IsNotFound(got)) return got;
  if (s != stage.steps_assigned() + 1)
    return absl::FailedPreconditionError(absl::StrCat("batch ", s, " of stage \"", request.stage(),
                                                      "\" was asked for, the next is ",
                                                      stage.steps_assigned() + 1));

  HONE_ASSIGN_OR_RETURN(IssueQueue queue,
                        IssueQueue::Load(*store_, StageQueue(run.run().id(), spec.name())));
  const int64_t size = spec.grpo().prompts_per_step();
  const bool synchronous = spec.grpo().max_staleness() == 0;
  const int64_t committed = queue.count(v1::ISSUE_STATE_COMMITTED);
  bool ready = synchronous ? queue.head().next_issue() >= s * size : committed >= size;
  for (const v1::IssueState state : {v1::ISSUE_STATE_LEASED, v1::ISSUE_STATE_READY}) {
    if (!ready || !synchronous) break;
    // Later ones may be leased ahead.
    HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> lowest, queue.List(state, 1));
    ready = lowest.empty() || lowest[0] >= s * size;
  }
  auto not_ready = [&] {
    return absl::UnavailableError(
        absl::StrCat("batch of step ", request.step(), " is not ready: ", committed, " of ", size,
                     " groups are committed, ", queue.count(v1::ISSUE_STATE_LEASED), " leased"));
  };
  if (!ready) {
    if (synchronous && sure != nullptr) {
      HONE_ASSIGN_OR_RETURN(*sure, queue.List(v1::ISSUE_STATE_COMMITTED));
      std::erase_if(*sure, [&](int64_t n) { return n >= s * size; });
    }
    return not_ready();
  }
  const WallTime now = options_.clock->WallNow();
  WriteBatch batch;
  HONE_ASSIGN_OR_RETURN(std::vector<int64_t> issues, queue.List(v1::ISSUE_STATE_COMMITTED));
  std::vector<v1::StoredIssue> chosen;
  int64_t stale = 0;
  for (const int64_t n : issues) {
    if (static_cast<int64_t>(chosen.size()) == size || (synchronous && n >= s * size)) break;
    HONE_ASSIGN_OR_RETURN(v1::StoredIssue issue, queue.Get(n));
    const int64_t age = request.step() - 1 - issue.issue().weights_version();
    if (age <= spec.grpo().max_staleness()) {
      chosen.push_back(std::move(issue));
      continue;
    }
    const std::string reason = "stale";
    issue.mutable_issue()->set_reason(reason);
    queue.Move(batch, issue, v1::ISSUE_STATE_DROPPED,
               absl::StrCat(reason, " by ", age, " steps at step ", request.step()), now);
    ++stale;
  }
  if (!synchronous && static_cast<int64_t>(chosen.size()) < size) {
    // Only the stale ones go; issues that make up for them may be leased now.
    queue.Save(batch);
    HONE_RETURN_IF_ERROR(store_->Write(batch));
    counters_.dropped += stale;
    announce.topics |= kWork;
    return not_ready();
  }
  assigned.set_stage(spec.name());
  for (v1::StoredIssue& issue : chosen) {
    issue.mutable_issue()->set_step(request.step());
    queue.Move(batch, issue, v1::ISSUE_STATE_ASSIGNED, absl::StrCat("step ", request.step()), now);
    assigned.add_issues(issue.issue().issue());
  }
  if (synchronous)
    for (int64_t n = (s - 1) * size; n < s * size; ++n)
      if (!std::binary_search(assigned.issues().begin(), assigned.issues().end(), n))
        assigned.add_dropped(n);
  stage.set_steps_assigned(s);
  batch.Put(keys::Stage(run.run().id(), spec.name()), stage);
  batch.Put(keys::Batch(run.run().id(), request.step()), assigned);
  queue.Save(batch);
  HONE_RETURN_IF_ERROR(store_->Write(batch));
  counters_.dropped += stale;
  if (stale > 0) announce.topics |= kWork;
  return assigned;
}

absl::StatusOr<v1::Group> Buffer::ReadGroup(const QueueId& queue, int64_t issue) const {
  v1::Group group;
  HONE_RETURN_IF_ERROR(store_->Get(keys::Group(queue, issue), &group));
  return group;
}

absl::StatusOr<v1::RunState> Buffer::CommitStep(const v1::CommitStepRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRunOf(request.run_id(), request.incarnation()));
  if (Ended(run.run().state())) return run.run().state();
  const v1::StepMetrics& metrics = request.metrics();
  const int64_t step = metrics.step();
  v1::StoredStep stored;
  const absl::Status got = store_->Get(keys::Step(run.run().id(), step), &stored);
  if (got.ok()) {
    if (stored.digest() == request.digest()) return run.run().state();
    Log(LogLevel::kError, "a replayed step made other weights",
        {{"run", run.run().id()}, {"step", step}});
    return absl::DataLossError(absl::StrCat(
        "step ", step, " of run \"", run.run().id(), "\" was committed with weights digest ",
        absl::Hex(stored.digest(), absl::kZeroPad16), ", the replay has ",
        absl::Hex(request.digest(), absl::kZeroPad16)));
  }
  if (!absl::IsNotFound(got)) return got;
  if (step != run.run().step() + 1)
    return absl::FailedPreconditionError(absl::StrCat("step ", step, " of run \"", run.run().id(),
                                                      "\" cannot follow step ", run.run().step()));
  HONE_ASSIGN_OR_RETURN(v1::StoredStage stage, LoadStage(*store_, run.run(), metrics.stage()));
  const v1::StageSpec& spec = *FindStage(run.run().spec(), metrics.stage());
  const int64_t stage_step = step - stage.first_step();
  if (stage.ended() || stage_step != stage.steps_done() + 1 || stage_step > Steps(spec) ||
      metrics.stage_step() != stage_step)
    return absl::FailedPreconditionError(absl::StrCat(
        "step ", step, " is not step ", metrics.stage_step(), " of stage \"", metrics.stage(),
        "\", which has done ", stage.steps_done(), " of ", Steps(spec), " steps after step ",
        stage.first_step(), stage.ended() ? " and has ended" : ""));
  const WallTime now = options_.clock->WallNow();
  WriteBatch batch;
  if (spec.has_grpo()) {
    v1::StoredBatch assigned;
    const absl::Status pulled = store_->Get(keys::Batch(run.run().id(), step), &assigned);
    if (absl::IsNotFound(pulled))
      return absl::FailedPreconditionError(absl::StrCat("the batch of step ", step, " of run \"",
                                                        run.run().id(), "\" was not pulled"));
    HONE_RETURN_IF_ERROR(pulled);
    HONE_ASSIGN_OR_RETURN(IssueQueue queue,
                          IssueQueue::Load(*store_, StageQueue(run.run().id(), spec.name())));
    HONE_RETURN_IF_ERROR(queue.RaiseFloor());
    for (const int64_t n : assigned.issues()) {
      HONE_ASSIGN_OR_RETURN(v1::StoredIssue issue, queue.Get(n));
      queue.Move(batch, issue, v1::ISSUE_STATE_TRAINED, absl::StrCat("step ", step), now);
    }
    queue.Save(batch);
  }
  stage.set_steps_done(stage_step);
  batch.Put(keys::Stage(run.run().id(), spec.name()), stage);
  *stored.mutable_metrics() = metrics;
  if (!metrics.has_time()) *stored.mutable_metrics()->mutable_time() = ToTimestamp(now);
  stored.set_digest(request.digest());
  batch.Put(keys::Step(run.run().id(), step), stored);
  run.mutable_run()->set_step(step);
  run.mutable_run()->set_stage_step(stage_step);
  PutRun(batch, run);
  HONE_RETURN_IF_ERROR(StartDue(batch, run, spec, stage_step, step));
  HONE_RETURN_IF_ERROR(store_->Write(batch));
  ++counters_.steps;
  announce.topics |= kWork | kRuns | kBatch | kEvaluations;
  return run.run().state();
}

absl::Status Buffer::CommitCheckpoint(const v1::CommitCheckpointRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRunOf(request.run_id(), request.incarnation()));
  if (request.step() < 0 || request.step() > run.run().step())
    return absl::FailedPreconditionError(absl::StrCat("a checkpoint of step ", request.step(),
                                                      ", the newest step is ", run.run().step()));
  if (request.step() < run.run().checkpoint_step()) return absl::OkStatus();
  if (request.step() == run.run().checkpoint_step() &&
      request.path() == run.run().checkpoint_path())
    return absl::OkStatus();
  WriteBatch batch;
  for (const v1::StageSpec& spec : run.run().spec().stages()) {
    if (!spec.has_grpo()) continue;
    absl::StatusOr<IssueQueue> queue =
        IssueQueue::Load(*store_, StageQueue(run.run().id(), spec.name()));
    if (absl::IsNotFound(queue.status())) continue;
    HONE_RETURN_IF_ERROR(queue.status());
    HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> trained, queue->List(v1::ISSUE_STATE_TRAINED));
    for (const int64_t n : trained) {
      HONE_ASSIGN_OR_RETURN(v1::StoredIssue issue, queue->Get(n));
      if (issue.issue().step() > request.step()) continue;
      queue->Move(batch, issue, v1::ISSUE_STATE_COVERED,
                  absl::StrCat("checkpoint of step ", request.step()), options_.clock->WallNow());
    }
    queue->Save(batch);
  }
  run.mutable_run()->set_checkpoint_step(request.step());
  run.mutable_run()->set_checkpoint_path(request.path());
  PutRun(batch, run);
  HONE_RETURN_IF_ERROR(store_->Write(batch));
  announce.topics |= kRuns;
  return absl::OkStatus();
}

absl::Status Buffer::EndStage(const v1::EndStageRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRunOf(request.run_id(), request.incarnation()));
  if (run.run().state() == v1::RUN_STATE_SUCCEEDED && request.succeeded()) return absl::OkStatus();
  HONE_RETURN_IF_ERROR(LoadLiveRunOf(request.run_id(), request.incarnation()).status());
  HONE_ASSIGN_OR_RETURN(v1::StoredStage stage, LoadStage(*store_, run.run(), request.stage()));
  const v1::StageSpec& spec = *FindStage(run.run().spec(), request.stage());
  if (request.succeeded()) {
    for (const v1::StageSpec& other : run.run().spec().stages()) {
      if (other.name() == request.stage()) continue;
      HONE_ASSIGN_OR_RETURN(const v1::StoredStage o, LoadStage(*store_, run.run(), other.name()));
      if (!o.ended())
        return absl::FailedPreconditionError(
            absl::StrCat("the run cannot succeed: stage \"", other.name(), "\" has not ended"));
    }
    if (run.run().checkpoint_step() != run.run().step())
      return absl::FailedPreconditionError(
          absl::StrCat("the run cannot succeed: its newest step is ", run.run().step(),
                       ", its newest checkpoint is of step ", run.run().checkpoint_step()));
  }
  WriteBatch batch;
  if (!stage.ended()) {
    if (spec.has_grpo()) {
      HONE_ASSIGN_OR_RETURN(IssueQueue queue,
                            IssueQueue::Load(*store_, StageQueue(run.run().id(), spec.name())));
      HONE_RETURN_IF_ERROR(DropOpen(batch, queue, "stage ended"));
      queue.Save(batch);
    }
    stage.set_ended(true);
    batch.Put(keys::Stage(run.run().id(), spec.name()), stage);
    if (!request.succeeded())
      HONE_RETURN_IF_ERROR(StartDue(batch, run, spec, Steps(spec), run.run().step()));
    // EndRun looks at what is open in the store.
    HONE_RETURN_IF_ERROR(store_->Write(batch));
  }
  announce.topics |= kWork | kRuns | kEvaluations | kBatch;
  if (!request.succeeded()) return absl::OkStatus();
  WriteBatch last;
  HONE_RETURN_IF_ERROR(EndRun(last, run, v1::RUN_STATE_SUCCEEDED, ""));
  return store_->Write(last);
}

absl::Status Buffer::FailRun(const v1::FailRunRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(v1::StoredRun run, LoadRunOf(request.run_id(), request.incarnation()));
  if (Ended(run.run().state())) return absl::OkStatus();
  WriteBatch batch;
  HONE_RETURN_IF_ERROR(EndRun(batch, run, v1::RUN_STATE_FAILED, request.message()));
  HONE_RETURN_IF_ERROR(store_->Write(batch));
  announce.topics |= kEverything;
  return absl::OkStatus();
}

}  // namespace hone
