// Leasing prompts to rollout workers.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/buffer/buffer.h"
#include "libs/buffer/buffer_internal.h"
#include "libs/config/rewards.h"

namespace hone {
namespace {

// Index in the prompt set of what issue `n` of a queue is about.
int64_t PromptOf(const v1::RunSpec& spec, const v1::StoredQueue& head, const QueueId& id,
                 int64_t n) {
  return id.evaluation ? n : PromptIndex(spec.seed(), id.name, head.prompts(), n);
}

}  // namespace

void Buffer::Describe(const v1::RunSpec& spec, const QueueId& queue, const v1::StoredIssue& issue,
                      v1::Prompt prompt, v1::Lease* lease) {
  lease->set_run_id(queue.run);
  lease->set_issue(issue.issue().issue());
  lease->set_epoch(issue.issue().epoch());
  prompt.clear_response();
  *lease->mutable_prompt() = std::move(prompt);
  if (queue.evaluation) {
    const v1::EvaluationSpec& e = *FindEvaluation(spec, queue.name);
    lease->set_evaluation(queue.name);
    lease->set_group_size(std::max(1, e.samples()));
    *lease->mutable_sampling() = e.sampling();
    *lease->mutable_reward() = RewardOf(spec, e.prompt_set());
  } else {
    const v1::GrpoStage& stage = FindStage(spec, queue.name)->grpo();
    lease->set_stage(queue.name);
    lease->set_group_size(stage.group_size());
    *lease->mutable_sampling() = stage.sampling();
    *lease->mutable_reward() = RewardOf(spec, stage.prompt_set());
  }
  lease->set_seed(SamplingSeed(spec.seed(), queue));
  lease->set_exact_version(issue.exact_version());
  lease->set_min_version(issue.min_version());
  lease->set_lease_id(issue.lease_id());
}

absl::Status Buffer::Lease(const v1::StoredRun& run, IssueQueue& queue, v1::StoredIssue& issue,
                           const v1::LeasePromptsRequest& request, WriteBatch& batch,
                           v1::LeasePromptsResponse* response) {
  const QueueId& id = queue.id();
  const bool fresh = issue.issue().state() == v1::ISSUE_STATE_UNSPECIFIED;
  const int64_t n = fresh ? queue.head().next_issue() : issue.issue().issue();
  HONE_ASSIGN_OR_RETURN(
      v1::Prompt prompt,
      sets_.Prompt(queue.head().prompt_set(), PromptOf(run.run().spec(), queue.head(), id, n)));
  v1::Issue& i = *issue.mutable_issue();
  i.set_stage(id.evaluation ? "" : id.name);
  i.set_issue(n);
  i.set_prompt_id(prompt.id());
  i.set_epoch(id.evaluation ? 0 : static_cast<int32_t>(n / queue.head().prompts()));
  i.set_worker_id(request.worker_id());
  i.set_attempts(i.attempts() + 1);
  issue.set_incarnation(request.incarnation());
  issue.set_request_id(request.request_id());
  issue.set_lease_id(next_lease_++);
  const std::string detail =
      absl::StrCat("worker ", request.worker_id(), ", weights ", request.weights_version());
  if (fresh)
    queue.Add(batch, issue, detail, options_.clock->WallNow());
  else
    queue.Move(batch, issue, v1::ISSUE_STATE_LEASED, detail, options_.clock->WallNow());
  Describe(run.run().spec(), id, issue, std::move(prompt), response->add_leases());
  return absl::OkStatus();
}

absl::Status Buffer::LeaseAgain(const v1::StoredRun& run, const v1::LeasePromptsRequest& request,
                                v1::LeasePromptsResponse* response) {
  HONE_ASSIGN_OR_RETURN(std::vector<IssueQueue> queues, OpenQueues(run.run()));
  for (IssueQueue& queue : queues) {
    HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> leased, queue.List(v1::ISSUE_STATE_LEASED));
    for (const int64_t n : leased) {
      HONE_ASSIGN_OR_RETURN(const v1::StoredIssue issue, queue.Get(n));
      if (issue.issue().worker_id() != request.worker_id() ||
          issue.incarnation() != request.incarnation() ||
          issue.request_id() != request.request_id())
        continue;
      HONE_ASSIGN_OR_RETURN(v1::Prompt prompt,
                            sets_.Prompt(queue.head().prompt_set(),
                                         PromptOf(run.run().spec(), queue.head(), queue.id(), n)));
      Describe(run.run().spec(), queue.id(), issue, std::move(prompt), response->add_leases());
    }
  }
  return absl::OkStatus();
}

absl::Status Buffer::LeaseEvaluations(const v1::StoredRun& run,
                                      const v1::LeasePromptsRequest& request,
                                      v1::LeasePromptsResponse* response) {
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::Evaluation> open,
                        LoadOpenEvaluations(*store_, run.run().id()));
  for (const v1::Evaluation& e : open) {
    if (e.step() != request.weights_version()) continue;
    HONE_ASSIGN_OR_RETURN(IssueQueue queue,
                          IssueQueue::Load(*store_, EvaluationQueue(run.run().id(), e)));
    WriteBatch batch;
    auto left = [&] { return int64_t{request.max_groups()} - response->leases_size(); };
    HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> ready,
                          queue.List(v1::ISSUE_STATE_READY, left()));
    for (const int64_t n : ready) {
      HONE_ASSIGN_OR_RETURN(v1::StoredIssue issue, queue.Get(n));
      HONE_RETURN_IF_ERROR(Lease(run, queue, issue, request, batch, response));
    }
    while (left() > 0 && queue.head().next_issue() < e.prompts()) {
      v1::StoredIssue issue;
      issue.set_exact_version(e.step());
      issue.set_min_version(e.step());
      HONE_RETURN_IF_ERROR(Lease(run, queue, issue, request, batch, response));
    }
    if (batch.empty()) continue;
    queue.Save(batch);
    v1::StoredCounters counters;
    counters.set_next_lease(next_lease_);
    batch.Put(keys::Counters(), counters);
    HONE_RETURN_IF_ERROR(store_->Write(batch));
  }
  return absl::OkStatus();
}

// How many of the next step's issues, those from `first` on, the worker may have beside those that
// it has: all workers begin a step together, so none takes another's part.
absl::StatusOr<int64_t> Buffer::ShareAhead(const v1::LeasePromptsRequest& request,
                                           const v1::GrpoStage& stage, const IssueQueue& queue,
                                           int64_t first) const {
  int64_t workers = 0;
  for (const auto& [id, w] : rollouts_.all()) workers += w.run_id == request.run_id();
  int64_t share = (stage.prompts_per_step() + workers - 1) / std::max<int64_t>(workers, 1);
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> leased, queue.List(v1::ISSUE_STATE_LEASED));
  for (auto n = std::lower_bound(leased.begin(), leased.end(), first); n != leased.end(); ++n) {
    HONE_ASSIGN_OR_RETURN(const v1::StoredIssue issue, queue.Get(*n));
    share -= issue.issue().worker_id() == request.worker_id();
  }
  return std::max<int64_t>(share, 0);
}

absl::Status Buffer::LeaseStage(const v1::StoredRun& run, const v1::LeasePromptsRequest& request,
                                v1::LeasePromptsResponse* response, bool* open) {
  const int64_t version = request.weights_version();
  for (const v1::StageSpec& spec : run.run().spec().stages()) {
    if (!spec.has_grpo()) continue;
    absl::StatusOr<v1::StoredStage> stage = LoadStage(*store_, run.run(), spec.name());
    if (absl::IsFailedPrecondition(stage.status())) continue;
    HONE_RETURN_IF_ERROR(stage.status());
    if (stage->ended()) continue;
    *open = true;
    const int64_t staleness = spec.grpo().max_staleness();
    const int64_t newest = stage->first_step() + stage->steps_done();
    if (staleness == 0 ? version != newest : version < newest - staleness || version > newest)
      continue;
    HONE_ASSIGN_OR_RETURN(IssueQueue queue,
                          IssueQueue::Load(*store_, StageQueue(run.run().id(), spec.name())));
    // In a synchronous stage issue n belongs to stage step n / prompts_per_step + 1, dropped or
    // not. In an asynchronous one a dropped issue is made up for by one more.
    const int64_t replaced = staleness == 0 ? 0 : queue.count(v1::ISSUE_STATE_DROPPED);
    const int64_t end = std::min(spec.grpo().steps(), stage->steps_done() + staleness + 1) *
                            spec.grpo().prompts_per_step() +
                        replaced;
    WriteBatch batch;
    auto left = [&] { return int64_t{request.max_groups()} - response->leases_size(); };
    auto bind = [&](v1::StoredIssue& issue, int64_t n) {
      const int64_t exact = stage->first_step() + n / spec.grpo().prompts_per_step();
      issue.set_exact_version(staleness == 0 ? exact : -1);
      issue.set_min_version(staleness == 0 ? exact : std::max<int64_t>(0, newest - staleness));
    };
    // Issues below `stop`, at most `limit` of them.
    auto lease = [&](int64_t stop, int64_t limit) -> absl::Status {
      HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> ready,
                            queue.List(v1::ISSUE_STATE_READY, limit));
      for (const int64_t n : ready) {
        if (n >= stop) break;
        HONE_ASSIGN_OR_RETURN(v1::StoredIssue issue, queue.Get(n));
        bind(issue, n);
        HONE_RETURN_IF_ERROR(Lease(run, queue, issue, request, batch, response));
        --limit;
      }
      for (; limit > 0 && queue.head().next_issue() < stop; --limit) {
        v1::StoredIssue issue;
        bind(issue, queue.head().next_issue());
        HONE_RETURN_IF_ERROR(Lease(run, queue, issue, request, batch, response));
      }
      return absl::OkStatus();
    };
    HONE_RETURN_IF_ERROR(lease(end, left()));
    if (request.ahead() && staleness == 0 && response->leases_size() == 0) {
      HONE_ASSIGN_OR_RETURN(const int64_t share, ShareAhead(request, spec.grpo(), queue, end));
      HONE_RETURN_IF_ERROR(lease(std::min(end + spec.grpo().prompts_per_step(),
                                          spec.grpo().steps() * spec.grpo().prompts_per_step()),
                                 std::min(left(), share)));
    }
    if (batch.empty()) continue;
    queue.Save(batch);
    v1::StoredCounters counters;
    counters.set_next_lease(next_lease_);
    batch.Put(keys::Counters(), counters);
    HONE_RETURN_IF_ERROR(store_->Write(batch));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::LeasePromptsResponse> Buffer::LeasePrompts(
    const v1::LeasePromptsRequest& request, bool* settled) {
  *settled = false;
  if (request.max_groups() <= 0)
    return absl::InvalidArgumentError(
        absl::StrCat("max_groups is ", request.max_groups(), ", expected > 0"));
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(const v1::StoredRun run, LoadLiveRun(request.run_id()));
  HONE_RETURN_IF_ERROR(HearWorker(request.worker_id(), request.incarnation(), &announce.topics));
  Workers::Worker& self = *rollouts_.Find(request.worker_id());
  self.run_id = request.run_id();
  const bool moved_on = self.weights_version != request.weights_version();
  self.weights_version = request.weights_version();
  v1::LeasePromptsResponse response;
  if (request.request_id() != 0) {
    // After a restart of the coordinator any request may be a repeat.
    const bool repeat = self.last_request == request.request_id();
    if (self.last_request == 0 || (repeat && self.last_leased))
      HONE_RETURN_IF_ERROR(LeaseAgain(run, request, &response));
    self.last_request = request.request_id();
    self.last_leased = response.leases_size() > 0;
    if (self.last_leased) return response;
  }
  if (run.run().state() != v1::RUN_STATE_RUNNING) return response;
  // This may have been the last worker that could serve an evaluation of the older weights.
  if (moved_on) HONE_RETURN_IF_ERROR(SettleEvaluations(run, &announce.topics));
  HONE_RETURN_IF_ERROR(LeaseEvaluations(run, request, &response));
  bool open = false;
  HONE_RETURN_IF_ERROR(LeaseStage(run, request, &response, &open));
  counters_.leased += response.leases_size();
  self.last_leased = response.leases_size() > 0;
  if (!self.last_leased) {
    *settled = request.weights_version() < run.run().step();
    response.set_awaiting_weights(*settled || open);
  }
  return response;
}

}  // namespace hone
