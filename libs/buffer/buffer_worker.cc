// What rollout workers ask for.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status.h"
#include "libs/buffer/buffer.h"
#include "libs/buffer/buffer_internal.h"
#include "libs/buffer/evaluation_score.h"
#include "libs/buffer/group_check.h"

namespace hone {

absl::Status Buffer::HearWorker(const std::string& id, uint64_t incarnation, Topics* topics) {
  bool fresh = false;
  HONE_RETURN_IF_ERROR(rollouts_.Hear(id, incarnation, &fresh));
  if (!fresh) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::StoredRun> runs, LoadRuns(*store_));
  int64_t taken = 0;
  for (const v1::StoredRun& run : runs) {
    if (Ended(run.run().state())) continue;
    HONE_ASSIGN_OR_RETURN(std::vector<IssueQueue> queues, OpenQueues(run.run()));
    for (IssueQueue& queue : queues)
      HONE_RETURN_IF_ERROR(TakeBack(
          std::move(queue),
          [&](const v1::StoredIssue& i) {
            return i.issue().worker_id() == id && i.incarnation() != incarnation;
          },
          absl::StrCat("worker ", id, " was restarted"), /*drop=*/false, &taken));
  }
  counters_.returned += taken;
  if (taken > 0) *topics |= kWork | kBatch;
  return absl::OkStatus();
}

absl::Status Buffer::TakeBack(IssueQueue queue,
                              const std::function<bool(const v1::StoredIssue&)>& lost,
                              const std::string& reason, bool drop, int64_t* taken) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> leased, queue.List(v1::ISSUE_STATE_LEASED));
  WriteBatch batch;
  for (const int64_t n : leased) {
    HONE_ASSIGN_OR_RETURN(v1::StoredIssue issue, queue.Get(n));
    if (!lost(issue)) continue;
    ++*taken;
    std::string why = reason;
    bool give_up = drop;
    if (!drop && options_.max_attempts > 0 && issue.issue().attempts() >= options_.max_attempts) {
      give_up = true;
      why = absl::StrCat("lost ", issue.issue().attempts(), " leases, at last: ", reason);
    }
    if (give_up) {
      issue.mutable_issue()->set_reason(why);
      ++counters_.dropped;
    }
    queue.Move(batch, issue, give_up ? v1::ISSUE_STATE_DROPPED : v1::ISSUE_STATE_READY, why,
               options_.clock->WallNow());
  }
  if (batch.empty()) return absl::OkStatus();
  queue.Save(batch);
  return store_->Write(batch);
}

absl::StatusOr<v1::RegisterWorkerResponse> Buffer::RegisterWorker(
    const v1::RegisterWorkerRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_RETURN_IF_ERROR(HearWorker(request.worker_id(), request.incarnation(), &announce.topics));
  Workers::Worker& self = *rollouts_.Find(request.worker_id());
  self.weights_version = request.weights_version();
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::StoredRun> runs, LoadRuns(*store_));
  // A worker stays with its run while that lives; else the run with the fewest workers gets it.
  const v1::StoredRun* chosen = nullptr;
  int64_t fewest = INT64_MAX;
  for (const v1::StoredRun& run : runs) {
    const v1::RunState state = run.run().state();
    if (state != v1::RUN_STATE_RUNNING && state != v1::RUN_STATE_PAUSED) continue;
    if (run.run().id() == self.run_id) {
      chosen = &run;
      break;
    }
    int64_t workers = 0;
    for (const auto& [id, w] : rollouts_.all()) workers += w.run_id == run.run().id();
    if (workers < fewest) {
      fewest = workers;
      chosen = &run;
    }
  }
  v1::RegisterWorkerResponse response;
  response.set_lease_seconds(options_.lease_seconds);
  self.run_id = chosen == nullptr ? "" : chosen->run().id();
  if (chosen == nullptr) return response;
  response.set_run_id(chosen->run().id());
  *response.mutable_model() = chosen->run().spec().model();
  response.set_weights_address(chosen->weights_address());
  response.set_paused(chosen->run().state() == v1::RUN_STATE_PAUSED);
  return response;
}

absl::StatusOr<v1::CommitGroupResponse> Buffer::CommitGroup(const v1::CommitGroupRequest& request) {
  const v1::Group& group = request.group();
  const bool evaluation = !request.evaluation().empty();
  const QueueId id =
      evaluation ? QueueId{group.run_id(), true, request.evaluation(), group.weights_version()}
                 : StageQueue(group.run_id(), group.stage());
  // The expensive parts come before the lock.
  const uint64_t digest = GroupDigest(group);
  const std::string bytes = group.SerializeAsString();
  v1::CommitGroupResponse response;

  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(const v1::StoredRun run, LoadLiveRun(group.run_id()));
  const v1::RunSpec& spec = run.run().spec();
  if (evaluation ? FindEvaluation(spec, id.name) == nullptr : FindStage(spec, id.name) == nullptr)
    return absl::NotFoundError(absl::StrCat(
        "run \"", id.run, "\" has no ", evaluation ? "evaluation" : "stage", " \"", id.name, "\""));
  absl::StatusOr<IssueQueue> queue = IssueQueue::Load(*store_, id);
  if (absl::IsNotFound(queue.status()))
    return absl::NotFoundError(absl::StrCat("nothing was leased of ",
                                            evaluation ? "evaluation" : "stage", " \"", id.name,
                                            "\" under weights ", group.weights_version()));
  HONE_RETURN_IF_ERROR(queue.status());
  HONE_ASSIGN_OR_RETURN(v1::StoredIssue issue, queue->Get(group.issue()));
  const int size = evaluation ? std::max(1, FindEvaluation(spec, id.name)->samples())
                              : FindStage(spec, id.name)->grpo().group_size();
  HONE_RETURN_IF_ERROR(CheckGroup(group, issue, size));
  if (const uint64_t seed = SamplingSeed(spec.seed(), id); group.seed() != seed)
    return absl::InvalidArgumentError(
        absl::StrCat("issue ", group.issue(), ": seed ", group.seed(), ", leased was ", seed));
  if (Workers::Worker* self = rollouts_.Find(request.worker_id()); self != nullptr)
    self->heard = options_.clock->Now();

  const v1::IssueState state = issue.issue().state();
  if (state == v1::ISSUE_STATE_DROPPED)
    return absl::FailedPreconditionError(
        absl::StrCat("issue ", group.issue(), " was dropped: ", issue.issue().reason()));
  if (state != v1::ISSUE_STATE_LEASED && state != v1::ISSUE_STATE_READY) {
    if (digest != issue.digest() && group.weights_version() == issue.issue().weights_version()) {
      ++counters_.conflicts;
      Log(LogLevel::kError, "a group was made twice with different bits",
          {{"run", id.run},
           {"queue", id.name},
           {"issue", group.issue()},
           {"worker", request.worker_id()},
           {"first_worker", issue.issue().worker_id()}});
      return absl::AbortedError(absl::StrCat(
          "issue ", group.issue(), " was committed by worker \"", issue.issue().worker_id(),
          "\" with other bits under the same weights version ", group.weights_version()));
    }
    ++counters_.duplicates;
    response.set_duplicate(true);
    return response;
  }
  issue.set_digest(digest);
  issue.mutable_issue()->set_weights_version(group.weights_version());
  issue.mutable_issue()->set_worker_id(request.worker_id());
  WriteBatch batch;
  batch.PutBytes(keys::Group(id, group.issue()), bytes);
  if (evaluation) {
    *issue.mutable_score() = ScorePrompt(group);
    issue.mutable_issue()->set_step(id.version);
  }
  queue->Move(batch, issue, v1::ISSUE_STATE_COMMITTED,
              absl::StrCat("worker ", request.worker_id(), ", weights ", group.weights_version()),
              options_.clock->WallNow());
  queue->Save(batch);
  announce.topics |= kBatch;
  if (evaluation && queue->head().next_issue() == queue->head().prompts() &&
      queue->count(v1::ISSUE_STATE_LEASED) == 0 && queue->count(v1::ISSUE_STATE_READY) == 0) {
    v1::Evaluation e;
    HONE_RETURN_IF_ERROR(store_->Get(keys::Evaluation(id.run, id.version, id.name), &e));
    HONE_RETURN_IF_ERROR(Finish(batch, id.run, std::move(e), *queue, &issue, ""));
    announce.topics |= kEvaluations;
  }
  const absl::Status written = store_->Write(batch);
  if (!written.ok()) return written;
  ++counters_.committed;
  return response;
}

absl::Status Buffer::ReturnLeases(const v1::ReturnLeasesRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(const v1::StoredRun run, LoadRun(*store_, request.run_id()));
  if (Ended(run.run().state())) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(std::vector<IssueQueue> queues, OpenQueues(run.run()));
  const auto& ids = request.lease_ids();
  int64_t taken = 0;
  for (IssueQueue& queue : queues)
    HONE_RETURN_IF_ERROR(TakeBack(
        std::move(queue),
        [&](const v1::StoredIssue& i) {
          return i.issue().worker_id() == request.worker_id() &&
                 std::find(ids.begin(), ids.end(), i.lease_id()) != ids.end();
        },
        request.reason().empty() ? absl::StrCat("returned by worker ", request.worker_id())
                                 : request.reason(),
        request.drop(), &taken));
  counters_.returned += taken;
  if (taken > 0) announce.topics |= kWork | kBatch;
  if (request.drop()) HONE_RETURN_IF_ERROR(SettleEvaluations(run, &announce.topics));
  return absl::OkStatus();
}

}  // namespace hone
