#include "libs/buffer/buffer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status.h"
#include "libs/buffer/buffer_internal.h"

namespace hone {

Buffer::Buffer(const BufferOptions& options, std::unique_ptr<Store> store)
    : options_(options),
      store_(std::move(store)),
      sets_(*store_, *options_.clock),
      rollouts_(*store_, *options_.clock, "rollout"),
      learners_(*store_, *options_.clock, "learner"),
      opened_(options_.clock->Now()) {}

Buffer::~Buffer() = default;

absl::StatusOr<std::unique_ptr<Buffer>> Buffer::Open(const BufferOptions& options) {
  if (options.lease_seconds <= 0)
    return absl::InvalidArgumentError(
        absl::StrCat("lease_seconds is ", options.lease_seconds, ", expected > 0"));
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open({options.path, options.fsync}));
  std::unique_ptr<Buffer> buffer(new Buffer(options, std::move(store)));
  MutexLock lock(buffer->mu_);
  HONE_RETURN_IF_ERROR(buffer->AssumeHolders());
  return buffer;
}

absl::Status Buffer::AssumeHolders() {
  v1::StoredCounters counters;
  const absl::Status got = store_->Get(keys::Counters(), &counters);
  if (!got.ok() && !absl::IsNotFound(got)) return got;
  next_lease_ = counters.next_lease() + 1;
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::StoredRun> runs, LoadRuns(*store_));
  for (const v1::StoredRun& run : runs) {
    if (Ended(run.run().state())) continue;
    if (!run.learner_id().empty()) learners_.Assume(run.learner_id());
    HONE_ASSIGN_OR_RETURN(const std::vector<IssueQueue> queues, OpenQueues(run.run()));
    for (const IssueQueue& queue : queues) {
      HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> leased, queue.List(v1::ISSUE_STATE_LEASED));
      for (const int64_t n : leased) {
        HONE_ASSIGN_OR_RETURN(const v1::StoredIssue issue, queue.Get(n));
        rollouts_.Assume(issue.issue().worker_id());
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Buffer::Tick() {
  Announce announce(*this);
  MutexLock lock(mu_);
  return Settle(&announce.topics);
}

absl::Status Buffer::Settle(Topics* topics) {
  // A learner writes checkpoints and loads models between its calls, so that it gets more time.
  for (const std::string& id : learners_.TakeSilent(10 * silence_limit())) {
    Log(LogLevel::kWarning, "learner is silent, its run may be acquired by others",
        {{"learner", id}});
    *topics |= kRuns;
  }
  const std::vector<std::string> silent = rollouts_.TakeSilent(silence_limit());
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::StoredRun> runs, LoadRuns(*store_));
  for (const v1::StoredRun& run : runs) {
    if (Ended(run.run().state())) continue;
    for (const std::string& id : silent) {
      int64_t taken = 0;
      HONE_ASSIGN_OR_RETURN(std::vector<IssueQueue> queues, OpenQueues(run.run()));
      for (IssueQueue& queue : queues) {
        const absl::Status s = TakeBack(
            std::move(queue), [&](const v1::StoredIssue& i) { return i.issue().worker_id() == id; },
            absl::StrCat("worker ", id, " is silent"), /*drop=*/false, &taken);
        if (!s.ok()) {
          rollouts_.Assume(id);  // so that it is tried again
          return s;
        }
      }
      counters_.expired += taken;
      if (taken > 0) {
        *topics |= kWork | kBatch;
        Log(LogLevel::kWarning, "worker is silent, its leases are returned",
            {{"worker", id}, {"run", run.run().id()}, {"leases", taken}});
      }
    }
    HONE_RETURN_IF_ERROR(SettleEvaluations(run, topics));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<IssueQueue>> Buffer::OpenQueues(const v1::Run& run) const {
  std::vector<IssueQueue> queues;
  for (const v1::StageSpec& spec : run.spec().stages()) {
    if (!spec.has_grpo()) continue;
    absl::StatusOr<v1::StoredStage> stage = LoadStage(*store_, run, spec.name());
    if (absl::IsFailedPrecondition(stage.status())) continue;
    HONE_RETURN_IF_ERROR(stage.status());
    if (stage->ended()) continue;
    HONE_ASSIGN_OR_RETURN(IssueQueue queue,
                          IssueQueue::Load(*store_, StageQueue(run.id(), spec.name())));
    queues.push_back(std::move(queue));
  }
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::Evaluation> open,
                        LoadOpenEvaluations(*store_, run.id()));
  for (const v1::Evaluation& e : open) {
    HONE_ASSIGN_OR_RETURN(IssueQueue queue,
                          IssueQueue::Load(*store_, EvaluationQueue(run.id(), e)));
    queues.push_back(std::move(queue));
  }
  return queues;
}

absl::Status Buffer::DropOpen(WriteBatch& batch, IssueQueue& queue, const std::string& reason) {
  for (const v1::IssueState state : {v1::ISSUE_STATE_READY, v1::ISSUE_STATE_LEASED,
                                     v1::ISSUE_STATE_COMMITTED, v1::ISSUE_STATE_ASSIGNED}) {
    // What an evaluation has committed is its result.
    if (queue.id().evaluation && state == v1::ISSUE_STATE_COMMITTED) continue;
    HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> issues, queue.List(state));
    for (const int64_t n : issues) {
      HONE_ASSIGN_OR_RETURN(v1::StoredIssue issue, queue.Get(n));
      issue.mutable_issue()->set_reason(reason);
      queue.Move(batch, issue, v1::ISSUE_STATE_DROPPED, reason, options_.clock->WallNow());
      ++counters_.dropped;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::PromptSet> Buffer::CreatePromptSet(const std::string& id) {
  MutexLock lock(mu_);
  return sets_.Create(id);
}

absl::StatusOr<v1::PromptSet> Buffer::AppendPrompts(const std::string& id, int64_t offset,
                                                    absl::string_view lines) {
  MutexLock lock(mu_);
  return sets_.Append(id, offset, lines);
}

absl::StatusOr<v1::PromptSet> Buffer::SealPromptSet(const v1::SealPromptSetRequest& request) {
  MutexLock lock(mu_);
  return sets_.Seal(request.id(), request.sha256());
}

absl::Status Buffer::DeletePromptSet(const std::string& id) {
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::StoredRun> runs, LoadRuns(*store_));
  for (const v1::StoredRun& run : runs) {
    if (Ended(run.run().state())) continue;
    for (const std::string& used : PromptSetsOf(run.run().spec()))
      if (used == id)
        return absl::FailedPreconditionError(absl::StrCat("prompt set \"", id,
                                                          "\" is used by run \"", run.run().id(),
                                                          "\", which is unfinished"));
  }
  return sets_.Delete(id);
}

}  // namespace hone
