// What people list: steps, evaluations, groups, issues, the cluster.

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/status.h"
#include "libs/buffer/buffer.h"

namespace hone {
namespace {

// "3:17": issue 17 of the queue of stage 3.
struct Place {
  int queue = 0;
  int64_t issue = 0;
};
absl::StatusOr<Place> ParsePlace(const std::string& token) {
  Place place;
  const std::vector<std::string> parts = absl::StrSplit(token, ':');
  if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &place.queue) &&
      absl::SimpleAtoi(parts[1], &place.issue) && place.queue >= 0)
    return place;
  return absl::InvalidArgumentError(absl::StrCat("page_token \"", token, "\" was not given out"));
}

}  // namespace

absl::StatusOr<v1::ListStepMetricsResponse> Buffer::ListStepMetrics(
    const v1::ListStepMetricsRequest& request) const {
  HONE_ASSIGN_OR_RETURN(const int limit, PageSize(request.page_size()));
  HONE_RETURN_IF_ERROR(LoadRun(*store_, request.run_id()).status());
  v1::ListStepMetricsResponse response;
  absl::Status parsed;
  HONE_RETURN_IF_ERROR(store_->Scan(
      keys::Steps(request.run_id()), keys::Step(request.run_id(), request.after_step() + 1),
      [&](absl::string_view key, absl::string_view value) {
        if (response.steps_size() == limit) {
          response.set_next_after_step(response.steps(limit - 1).step());
          return false;
        }
        v1::StoredStep step;
        parsed = Parse(key, value, &step);
        if (parsed.ok()) *response.add_steps() = std::move(*step.mutable_metrics());
        return parsed.ok();
      }));
  HONE_RETURN_IF_ERROR(parsed);
  return response;
}

absl::StatusOr<v1::ListEvaluationsResponse> Buffer::ListEvaluations(
    const v1::ListEvaluationsRequest& request) const {
  HONE_RETURN_IF_ERROR(LoadRun(*store_, request.run_id()).status());
  v1::ListEvaluationsResponse response;
  absl::Status parsed;
  HONE_RETURN_IF_ERROR(store_->Scan(keys::Evaluations(request.run_id()), "",
                                    [&](absl::string_view key, absl::string_view value) {
                                      parsed = Parse(key, value, response.add_evaluations());
                                      return parsed.ok();
                                    }));
  HONE_RETURN_IF_ERROR(parsed);
  return response;
}

absl::StatusOr<v1::ListGroupsResponse> Buffer::ListGroups(
    const v1::ListGroupsRequest& request) const {
  HONE_ASSIGN_OR_RETURN(const int limit, PageSize(request.page_size()));
  HONE_ASSIGN_OR_RETURN(const v1::StoredRun run, LoadRun(*store_, request.run_id()));
  std::vector<QueueId> queues;
  if (!request.evaluation().empty()) {
    HONE_ASSIGN_OR_RETURN(const v1::ListEvaluationsResponse all, [&] {
      v1::ListEvaluationsRequest list;
      list.set_run_id(request.run_id());
      return ListEvaluations(list);
    }());
    for (auto e = all.evaluations().rbegin(); e != all.evaluations().rend(); ++e)
      if (e->name() == request.evaluation() &&
          (request.step() == 0 || e->step() == request.step())) {
        queues.push_back(EvaluationQueue(run.run().id(), *e));
        break;
      }
  } else {
    const auto& stages = run.run().spec().stages();
    for (auto s = stages.rbegin(); s != stages.rend(); ++s)
      queues.push_back(StageQueue(run.run().id(), s->name()));
  }
  Place at;
  if (!request.page_token().empty()) {
    HONE_ASSIGN_OR_RETURN(at, ParsePlace(request.page_token()));
  }
  constexpr size_t kMaxBytes = 2 << 20;  // a message's limit is 4 MiB
  v1::ListGroupsResponse response;
  size_t bytes = 0;
  absl::Status failed;
  for (int q = at.queue; q < static_cast<int>(queues.size()) && failed.ok(); ++q) {
    const std::string before =
        q == at.queue && !request.page_token().empty() ? keys::Issue(queues[q], at.issue + 1) : "";
    bool full = false;
    HONE_RETURN_IF_ERROR(store_->ScanBack(
        keys::Issues(queues[q]), before, [&](absl::string_view key, absl::string_view value) {
          v1::StoredIssue stored;
          failed = Parse(key, value, &stored);
          if (!failed.ok()) return false;
          const v1::Issue& issue = stored.issue();
          if (stored.digest() == 0 ||
              (!request.prompt_id().empty() && issue.prompt_id() != request.prompt_id()) ||
              (request.evaluation().empty() && request.step() != 0 &&
               issue.step() != request.step()))
            return true;
          if (response.groups_size() == limit || bytes > kMaxBytes) {
            response.set_next_page_token(absl::StrCat(q, ":", issue.issue()));
            full = true;
            return false;
          }
          absl::StatusOr<v1::Group> group = ReadGroup(queues[q], issue.issue());
          failed = group.status();
          if (!failed.ok()) return false;
          bytes += group->ByteSizeLong();
          *response.add_groups() = *std::move(group);
          return true;
        }));
    if (full) break;
  }
  HONE_RETURN_IF_ERROR(failed);
  return response;
}

absl::StatusOr<v1::ListIssuesResponse> Buffer::ListIssues(
    const v1::ListIssuesRequest& request) const {
  HONE_ASSIGN_OR_RETURN(const int limit, PageSize(request.page_size()));
  HONE_ASSIGN_OR_RETURN(const v1::StoredRun run, LoadRun(*store_, request.run_id()));
  std::vector<QueueId> queues;
  for (const v1::StageSpec& s : run.run().spec().stages())
    if (request.stage().empty() || s.name() == request.stage())
      queues.push_back(StageQueue(run.run().id(), s.name()));
  if (queues.empty())
    return absl::NotFoundError(
        absl::StrCat("run \"", request.run_id(), "\" has no stage \"", request.stage(), "\""));
  Place at;
  if (!request.page_token().empty()) {
    HONE_ASSIGN_OR_RETURN(at, ParsePlace(request.page_token()));
  }
  v1::ListIssuesResponse response;
  absl::Status failed;
  for (int q = at.queue; q < static_cast<int>(queues.size()) && failed.ok(); ++q) {
    const int64_t first = q == at.queue ? at.issue : 0;
    // Takes one record; false ends the listing.
    auto take = [&](absl::string_view key, absl::string_view value) {
      v1::StoredIssue stored;
      failed = Parse(key, value, &stored);
      if (!failed.ok()) return false;
      if (!request.prompt_id().empty() && stored.issue().prompt_id() != request.prompt_id())
        return true;
      if (response.issues_size() == limit) {
        response.set_next_page_token(absl::StrCat(q, ":", stored.issue().issue()));
        return false;
      }
      *response.add_issues() = std::move(*stored.mutable_issue());
      return true;
    };
    if (request.state() == v1::ISSUE_STATE_UNSPECIFIED) {
      HONE_RETURN_IF_ERROR(
          store_->Scan(keys::Issues(queues[q]), keys::Issue(queues[q], first), take));
    } else {
      HONE_RETURN_IF_ERROR(store_->Scan(
          keys::InState(queues[q], request.state()),
          keys::InState(queues[q], request.state(), first),
          [&](absl::string_view key, absl::string_view) {
            v1::StoredIssue stored;
            const std::string record = keys::Issue(queues[q], keys::LastNumber(key));
            // It may have moved on since the walk began: then it is not in this state any more.
            const absl::Status got = store_->Get(record, &stored);
            if (absl::IsNotFound(got) || (got.ok() && stored.issue().state() != request.state()))
              return true;
            failed = got;
            return got.ok() && take(record, stored.SerializeAsString());
          }));
    }
    if (!response.next_page_token().empty()) break;
  }
  HONE_RETURN_IF_ERROR(failed);
  return response;
}

absl::StatusOr<v1::GetClusterStatusResponse> Buffer::GetClusterStatus() const {
  MutexLock lock(mu_);
  v1::GetClusterStatusResponse response;
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::StoredRun> runs, LoadRuns(*store_));
  std::map<std::string, int64_t> leases;
  for (const v1::StoredRun& run : runs) {
    if (Ended(run.run().state())) continue;
    HONE_ASSIGN_OR_RETURN(std::vector<IssueQueue> queues, OpenQueues(run.run()));
    for (IssueQueue& queue : queues) {
      HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> leased, queue.List(v1::ISSUE_STATE_LEASED));
      for (const int64_t n : leased) {
        HONE_ASSIGN_OR_RETURN(const v1::StoredIssue issue, queue.Get(n));
        ++leases[issue.issue().worker_id()];
      }
      auto& counts = *response.add_queues();
      counts.set_run_id(run.run().id());
      counts.set_stage(queue.id().evaluation ? absl::StrCat("evaluation ", queue.id().name,
                                                            " of step ", queue.id().version)
                                             : queue.id().name);
      for (int state = 1; state < v1::IssueState_ARRAYSIZE; ++state)
        (*counts.mutable_issues())[absl::AsciiStrToLower(ShortName(
            static_cast<v1::IssueState>(state)))] = queue.count(static_cast<v1::IssueState>(state));
    }
  }
  for (const Workers* workers : {&rollouts_, &learners_}) {
    for (const auto& [id, w] : workers->all()) {
      auto& out = *response.add_workers();
      out.set_id(id);
      out.set_role(workers->role());
      out.set_run_id(w.run_id);
      out.set_weights_version(w.weights_version);
      if (workers == &rollouts_) out.set_leases(leases[id]);
      out.set_idle_seconds(std::chrono::duration<double>(options_.clock->Now() - w.heard).count());
    }
  }
  return response;
}

}  // namespace hone
