// Evaluations: from the step that makes them due to their result.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/buffer/buffer.h"
#include "libs/buffer/buffer_internal.h"
#include "libs/buffer/evaluation_score.h"

namespace hone {

absl::Status Buffer::StartEvaluation(WriteBatch& batch, const v1::StoredRun& run,
                                     const v1::EvaluationSpec& spec, int64_t step) const {
  const std::string& run_id = run.run().id();
  HONE_ASSIGN_OR_RETURN(const bool there, store_->Has(keys::Evaluation(run_id, step, spec.name())));
  if (there) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(const v1::PromptSet set, sets_.Get(spec.prompt_set()));
  v1::Evaluation e;
  e.set_name(spec.name());
  e.set_step(step);
  e.set_stage(run.run().stage());
  e.set_prompts(spec.max_prompts() > 0 ? std::min(spec.max_prompts(), set.prompts())
                                       : set.prompts());
  e.set_samples(std::max(1, spec.samples()));
  v1::StoredQueue head;
  head.set_prompt_set(set.id());
  head.set_prompts(e.prompts());
  head.set_step(step);
  IssueQueue::Make(*store_, EvaluationQueue(run_id, e), std::move(head)).Save(batch);
  batch.Put(keys::Evaluation(run_id, step, spec.name()), e);
  batch.PutBytes(keys::OpenEvaluation(run_id, step, spec.name()), "");
  return absl::OkStatus();
}

absl::Status Buffer::StartDue(WriteBatch& batch, const v1::StoredRun& run,
                              const v1::StageSpec& stage, int64_t stage_step, int64_t step) const {
  for (const v1::EvaluationSpec& spec : run.run().spec().evaluations()) {
    const bool periodic =
        stage.has_grpo() && spec.every_steps() > 0 && stage_step % spec.every_steps() == 0;
    if (periodic || stage_step == Steps(stage))
      HONE_RETURN_IF_ERROR(StartEvaluation(batch, run, spec, step));
  }
  return absl::OkStatus();
}

absl::Status Buffer::Finish(WriteBatch& batch, const std::string& run_id, v1::Evaluation e,
                            const IssueQueue& queue, const v1::StoredIssue* extra,
                            const std::string& note) const {
  // In order of the prompts, so that the sums do not depend on the order of the commits.
  std::vector<int64_t> done;
  HONE_ASSIGN_OR_RETURN(done, queue.List(v1::ISSUE_STATE_COMMITTED));
  const int64_t last = extra == nullptr ? -1 : extra->issue().issue();
  if (extra != nullptr) {
    done.push_back(last);
    std::sort(done.begin(), done.end());
  }
  std::vector<v1::PromptScore> prompts;
  for (const int64_t n : done) {
    if (n == last) {
      prompts.push_back(extra->score());
      continue;
    }
    HONE_ASSIGN_OR_RETURN(const v1::StoredIssue issue, queue.Get(n));
    prompts.push_back(issue.score());
  }
  Aggregate(prompts, &e);
  e.set_done(true);
  e.set_note(note);
  if (note.empty() && e.prompts_done() < e.prompts())
    e.set_note(absl::StrCat(e.prompts() - e.prompts_done(), " prompts were dropped"));
  *e.mutable_time() = ToTimestamp(options_.clock->WallNow());
  batch.Put(keys::Evaluation(run_id, e.step(), e.name()), e);
  batch.Delete(keys::OpenEvaluation(run_id, e.step(), e.name()));
  return absl::OkStatus();
}

absl::Status Buffer::SettleEvaluations(const v1::StoredRun& run, Topics* topics) {
  if (run.run().state() != v1::RUN_STATE_RUNNING) return absl::OkStatus();
  const std::string& run_id = run.run().id();
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::Evaluation> open,
                        LoadOpenEvaluations(*store_, run_id));
  if (open.empty()) return absl::OkStatus();
  int64_t highest = -1;  // of those who are alive
  for (const auto& [id, w] : rollouts_.all())
    if (w.run_id == run_id) highest = std::max(highest, w.weights_version);
  const bool all_known = options_.clock->Now() - opened_ > silence_limit();
  for (const v1::Evaluation& e : open) {
    HONE_ASSIGN_OR_RETURN(IssueQueue queue, IssueQueue::Load(*store_, EvaluationQueue(run_id, e)));
    if (queue.count(v1::ISSUE_STATE_LEASED) > 0) continue;
    WriteBatch batch;
    const bool complete = queue.count(v1::ISSUE_STATE_READY) == 0 &&
                          queue.head().next_issue() == queue.head().prompts();
    if (complete) {  // the last prompt was dropped, not committed
      HONE_RETURN_IF_ERROR(Finish(batch, run_id, e, queue, nullptr, ""));
    } else {
      // Weights never go back: once newer ones are out, only a worker that still has these serves
      // them.
      const bool servable =
          e.step() >= run.run().step() ||
          std::any_of(rollouts_.all().begin(), rollouts_.all().end(), [&](const auto& w) {
            return w.second.run_id == run_id && w.second.weights_version == e.step();
          });
      if (servable || !all_known) continue;
      v1::Evaluation closed = e;
      std::string note = absl::StrCat("no worker could serve weights ", e.step(), " any more");
      if (queue.count(v1::ISSUE_STATE_COMMITTED) == 0) {
        closed.set_moved_to(highest > e.step() ? highest : run.run().step());
        absl::StrAppend(&note, "; evaluated at step ", closed.moved_to(), " instead");
        HONE_RETURN_IF_ERROR(StartEvaluation(
            batch, run, *FindEvaluation(run.run().spec(), e.name()), closed.moved_to()));
      }
      HONE_RETURN_IF_ERROR(DropOpen(batch, queue, note));
      queue.Save(batch);
      HONE_RETURN_IF_ERROR(Finish(batch, run_id, closed, queue, nullptr, note));
    }
    HONE_RETURN_IF_ERROR(store_->Write(batch));
    *topics |= kEvaluations | kWork;
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Evaluation> Buffer::Evaluate(const v1::EvaluateRequest& request) {
  Announce announce(*this);
  MutexLock lock(mu_);
  HONE_ASSIGN_OR_RETURN(const v1::StoredRun run, LoadRunOf(request.run_id(), /*incarnation=*/0));
  const v1::EvaluationSpec* spec = FindEvaluation(run.run().spec(), request.name());
  if (spec == nullptr)
    return absl::NotFoundError(
        absl::StrCat("run \"", request.run_id(), "\" has no evaluation \"", request.name(), "\""));
  v1::Evaluation e;
  int64_t step = request.step();
  while (true) {
    const absl::Status got = store_->Get(keys::Evaluation(run.run().id(), step, spec->name()), &e);
    if (got.ok() && e.moved_to() > step) {
      step = e.moved_to();
      continue;
    }
    if (got.ok()) {
      if (!e.done()) {
        HONE_ASSIGN_OR_RETURN(const IssueQueue queue,
                              IssueQueue::Load(*store_, EvaluationQueue(run.run().id(), e)));
        e.set_prompts_done(queue.count(v1::ISSUE_STATE_COMMITTED));
      }
      return e;
    }
    if (!absl::IsNotFound(got)) return got;
    if (Ended(run.run().state()))
      return absl::FailedPreconditionError(
          absl::StrCat("run \"", run.run().id(), "\" has ended: nothing is evaluated any more"));
    if (step < 0 || step > run.run().step())
      return absl::FailedPreconditionError(absl::StrCat("evaluation \"", request.name(),
                                                        "\" of step ", step,
                                                        ": the newest step is ", run.run().step()));
    WriteBatch batch;
    HONE_RETURN_IF_ERROR(StartEvaluation(batch, run, *spec, step));
    HONE_RETURN_IF_ERROR(store_->Write(batch));
    announce.topics |= kWork | kEvaluations;
  }
}

}  // namespace hone
