// The life of a group in a rollout loop: submitted, generated, judged, committed.

#include <chrono>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/periodic.h"
#include "libs/loop/assignment.h"
#include "libs/loop/score_item.h"

namespace hone {

void RolloutLoop::Submit(Assignment& a, const v1::Lease& lease) {
  auto group = std::make_shared<Pending>();
  group->prompt = lease.prompt();
  group->reward = lease.reward();
  group->pinned = lease.exact_version() >= 0;
  group->unfinished = lease.group_size();
  absl::Status status;
  GroupRequest request;
  const absl::StatusOr<PromptTokens> prompt = EncodePrompt(a.folder, lease.prompt());
  // A lease for other weights came too late or too early: someone else, or a later call, gets it.
  const bool stale = group->pinned && lease.exact_version() != a.engine->version();
  if (stale) {
    status = absl::AbortedError(absl::StrCat("lease is for weights version ", lease.exact_version(),
                                             ", this worker has ", a.engine->version()));
  } else if (!prompt.ok()) {
    status = prompt.status();
  } else {
    request = {.id = static_cast<uint64_t>(lease.lease_id()),
               .prompt = prompt->ids,
               .group_size = lease.group_size(),
               .sampling = lease.sampling(),
               .seed = lease.seed(),
               .issue = lease.issue()};
    MutexLock lock(group->mu);
    group->missing = lease.group_size();
    v1::CommitGroupRequest& c = group->commit;
    c.set_worker_id(options_.worker_id);
    c.set_lease_id(lease.lease_id());
    c.set_evaluation(lease.evaluation());
    v1::Group& g = *c.mutable_group();
    g.set_run_id(lease.run_id());
    g.set_stage(lease.stage());
    g.set_issue(lease.issue());
    g.set_prompt_id(lease.prompt().id());
    g.set_epoch(lease.epoch());
    g.mutable_prompt_token_ids()->Assign(prompt->ids.begin(), prompt->ids.end());
    *g.mutable_sampling() = lease.sampling();
    g.set_seed(lease.seed());
    g.set_weights_version(a.engine->version());
    g.set_worker_id(options_.worker_id);
    g.set_prompt_text(prompt->text);
    for (int i = 0; i < lease.group_size(); ++i) g.add_completions()->set_sample_index(i);
    status = a.engine->Submit(std::move(request));
  }
  if (status.ok()) {
    a.groups[static_cast<uint64_t>(lease.lease_id())] = group;
    a.pinned += group->pinned;
    return;
  }
  if (!stale)
    Log(LogLevel::kWarning,
        absl::StrCat("prompt cannot be generated: ", std::string(status.message())),
        {{"run", lease.run_id()}, {"prompt", lease.prompt().id()}});
  v1::ReturnLeasesRequest give_back;
  give_back.set_worker_id(options_.worker_id);
  give_back.set_run_id(lease.run_id());
  give_back.add_lease_ids(lease.lease_id());
  give_back.set_reason(std::string(status.message()));
  give_back.set_drop(!stale);  // nobody could work on it
  const absl::Status returned = prompts_.Return(give_back);
  if (!returned.ok())
    Log(LogLevel::kWarning, absl::StrCat("return lease: ", std::string(returned.message())));
  MutexLock lock(mu_);
  sequences_ -= lease.group_size();
}

// Called by the engine as each completion ends.
void RolloutLoop::Finished(Assignment& a, const GroupRequest& request, v1::Completion completion) {
  if (const auto visitor = a.visitors.find(request.id); visitor != a.visitors.end())
    return visitor->second(std::move(completion));
  const auto it = a.groups.find(request.id);
  HONE_CHECK(it != a.groups.end()) << "request " << request.id;
  const std::shared_ptr<Pending> group = it->second;
  completions_.Increment();
  const int index = completion.sample_index();
  const bool aborted = completion.finish_reason() == v1::FINISH_REASON_ABORT;
  group->aborted |= aborted;
  v1::ScoreItem item;
  {
    MutexLock lock(group->mu);
    item = MakeScoreItem(group->prompt, group->commit.group().prompt_text(), completion);
    *group->commit.mutable_group()->mutable_completions(index) = std::move(completion);
  }
  if (--group->unfinished == 0) {
    a.pinned -= group->pinned;
    a.groups.erase(it);
  }
  {
    MutexLock lock(mu_);
    --sequences_;
    if (group->unfinished == 0 && !group->aborted) ++judging_;
    if (!aborted) ++scoring_;
    wake_.notify_all();
  }
  if (aborted) return;
  verdicts_.Score(group->reward, std::move(item),
                  [this, group, index, finished = std::chrono::steady_clock::now()](
                      v1::Verdict verdict) { Judged(group, index, finished, std::move(verdict)); });
}

// Called from any thread.
void RolloutLoop::Judged(const std::shared_ptr<Pending>& group, int index, TimePoint finished,
                         v1::Verdict verdict) {
  bool complete = false;
  {
    MutexLock lock(group->mu);
    v1::Completion& completion = *group->commit.mutable_group()->mutable_completions(index);
    completion.set_score_seconds(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - finished).count());
    *completion.mutable_verdict() = std::move(verdict);
    complete = --group->missing == 0;
    if (complete) {
      const absl::Status status = commits_.Push(group->commit);
      HONE_CHECK(status.ok()) << status.ToString();  // open while verdicts are on their way
    }
  }
  MutexLock lock(mu_);
  --scoring_;
  wake_.notify_all();
}

void RolloutLoop::CommitThread() {
  NameThisThread("commit");
  while (true) {
    auto commit = commits_.Pop();
    if (!commit.ok()) return;
    const auto response = sink_.Commit(*commit);
    if (response.ok()) {
      groups_.Increment();
    } else if (!absl::IsCancelled(response.status())) {
      Log(LogLevel::kWarning,
          absl::StrCat("group was not taken: ", std::string(response.status().message())),
          {{"stage", commit->group().stage()}, {"issue", commit->group().issue()}});
    }
    MutexLock lock(mu_);
    --judging_;
    wake_.notify_all();
  }
}

}  // namespace hone
