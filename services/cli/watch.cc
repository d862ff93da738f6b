#include "services/cli/watch.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/rpc/retry.h"
#include "services/cli/cli.h"
#include "services/cli/interrupt.h"

namespace hone::cli {
namespace {

bool Ended(v1::RunState state) {
  return state == v1::RUN_STATE_SUCCEEDED || state == v1::RUN_STATE_FAILED ||
         state == v1::RUN_STATE_CANCELLED;
}

double SecondsOf(const google::protobuf::Timestamp& t) {
  return static_cast<double>(t.seconds()) + 1e-9 * t.nanos();
}

// Steps between lines: about 30 lines per stage, a round number.
int64_t LineEvery(int64_t stage_steps) {
  int64_t every = 1;
  for (const int64_t factor : {2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000})
    if (every * 30 < stage_steps) every = factor;
  return every;
}

// Means of step metrics since the last line.
class StepMeans {
 public:
  void Add(const v1::StepMetrics& step) {
    for (const auto& [name, value] : step.values())
      if (std::isfinite(value)) {
        sums_[name].first += value;
        sums_[name].second += 1;
      }
  }
  bool Has(const std::string& name) const { return sums_.count(name) > 0; }
  double Of(const std::string& name) const {
    const auto it = sums_.find(name);
    return it == sums_.end() ? NAN : it->second.first / it->second.second;
  }
  void Clear() { sums_.clear(); }

 private:
  std::map<std::string, std::pair<double, int64_t>> sums_;
};

std::string Describe(const v1::StepMetrics& step, int64_t stage_steps, const StepMeans& means) {
  std::string line = absl::StrFormat("%-10s %d/%d", step.stage(), step.stage_step(), stage_steps);
  const auto add = [&](absl::string_view label, absl::string_view name, int decimals) {
    if (const std::string key(name); means.Has(key))
      absl::StrAppend(&line, "  ", label, " ", Number(means.Of(key), decimals));
  };
  const bool rollouts = means.Has("reward_mean");
  add("reward", "reward_mean", 3);
  add("pass@1", "pass_at_1", 3);
  if (!rollouts) add("loss", "loss", 4);
  add("len", "response_length_mean", 1);
  add("entropy", rollouts ? "rollout_entropy" : "entropy", 3);
  add("kl", "kl_to_reference", 4);
  // Zero by construction, so that anything else should catch the eye.
  if (means.Has("logprob_abs_diff_max")) {
    const double mismatch = means.Of("logprob_abs_diff_max");
    absl::StrAppend(&line, "  mismatch ", mismatch == 0 ? "0" : Number(mismatch, 6));
  }
  const double seconds = means.Of("step_seconds");
  const double tokens = means.Of("completion_tokens");
  if (seconds > 0) {
    if (tokens > 0) absl::StrAppend(&line, "  ", Grouped(std::llround(tokens / seconds)), " tok/s");
    absl::StrAppend(&line, "  ", Number(seconds, seconds < 0.1 ? 3 : 2), " s/step");
    const int64_t left = stage_steps - step.stage_step();
    if (left > 0)
      absl::StrAppend(&line, "  ", Elapsed(seconds * static_cast<double>(left)), " left");
  }
  return line;
}

std::string Bar(int64_t done, int64_t all) {
  constexpr int kWidth = 20;
  const int full = all > 0 ? static_cast<int>(std::min(done, all) * kWidth / all) : 0;
  return absl::StrCat("[", std::string(static_cast<size_t>(full), '#'),
                      std::string(static_cast<size_t>(kWidth - full), '.'), "]");
}

class Watch {
 public:
  Watch(Output& output, int64_t after_step) : output_(output), after_step_(after_step) {}

  int64_t after_step() const { return after_step_; }
  const v1::Run& run() const { return run_; }

  void See(const v1::WatchRunResponse& news) {
    if (output_.machine()) output_.Message(news);
    for (const v1::StepMetrics& step : news.steps()) SeeStep(news.run(), step);
    for (const v1::Evaluation& e : news.evaluations()) See(e);
    if (news.run().state() != run_.state() && !output_.machine() && !Ended(news.run().state()))
      output_.Note(absl::StrCat("run ", news.run().id(), " is ",
                                EnumName(v1::RunState_descriptor(), news.run().state()),
                                news.run().state() == v1::RUN_STATE_PENDING
                                    ? ": waiting for a learner (see `hone status`)"
                                    : ""));
    run_ = news.run();
    if (run_.state() == v1::RUN_STATE_RUNNING && !last_.empty()) output_.Progress(last_);
  }

  void See(const v1::Evaluation& e) {
    if (!e.done() || !evaluations_.insert({e.name(), e.step()}).second || output_.machine()) return;
    std::string line = absl::StrFormat(
        "%-10s evaluation %s at step %d: pass@1 %s  pass@%d %s  maj@%d %s  reward %s  len %s",
        e.stage(), e.name(), e.step(), Number(e.pass_at_1()), e.samples(), Number(e.pass_at_k()),
        e.samples(), Number(e.majority_at_k()), Number(e.mean_reward()),
        Number(e.mean_tokens(), 1));
    if (e.unscored() > 0) absl::StrAppend(&line, "  unscored ", e.unscored());
    if (!e.note().empty()) absl::StrAppend(&line, "  (", e.note(), ")");
    output_.Line(line);
  }

 private:
  void SeeStep(const v1::Run& run, const v1::StepMetrics& step) {
    after_step_ = std::max(after_step_, step.step());
    if (output_.machine()) return;
    if (step.stage() != stage_) {
      stage_ = step.stage();
      means_.Clear();
      stage_steps_ = run.stage_steps();
      for (const v1::StageSpec& s : run.spec().stages())
        if (s.name() == stage_)
          stage_steps_ = s.has_sft()        ? s.sft().steps()
                         : s.has_pretrain() ? s.pretrain().steps()
                                            : s.grpo().steps();
    }
    means_.Add(step);
    last_ = absl::StrCat(Bar(step.stage_step(), stage_steps_), " ",
                         Describe(step, stage_steps_, means_));
    if (step.stage_step() % LineEvery(stage_steps_) != 0 && step.stage_step() != 1 &&
        step.stage_step() != stage_steps_)
      return;
    output_.Line(Describe(step, stage_steps_, means_));
    means_.Clear();
  }

  Output& output_;
  int64_t after_step_;
  v1::Run run_;
  std::string stage_;
  int64_t stage_steps_ = 0;
  StepMeans means_;
  std::string last_;
  std::set<std::pair<std::string, int64_t>> evaluations_;
};

int ExitCodeOf(v1::RunState state) {
  return state == v1::RUN_STATE_SUCCEEDED ? kExitOk : kExitRunFailed;
}

void PrintSummary(Context& context, const Coordinator& c, const v1::Run& run) {
  Output& output = context.output;
  if (output.machine()) return;
  output.Line("");
  output.Line(absl::StrCat("run ", run.id(), " ", EnumName(v1::RunState_descriptor(), run.state()),
                           " at step ", run.step(), " after ",
                           Elapsed(SecondsOf(run.end_time()) - SecondsOf(run.create_time())),
                           run.message().empty() ? "" : ": ", run.message()));
  if (!run.checkpoint_path().empty()) output.Line("checkpoint " + run.checkpoint_path());
  v1::ListEvaluationsRequest request;
  request.set_run_id(run.id());
  const auto listed = Call(context, c, *c.runs, &RunStub::ListEvaluations, request);
  if (listed.ok() && listed->evaluations_size() > 0)
    PrintEvaluations(output, listed->evaluations());
}

}  // namespace

void PrintEvaluations(Output& output,
                      const google::protobuf::RepeatedPtrField<v1::Evaluation>& evaluations) {
  Table table({"EVALUATION", "STEP", "PROMPTS", "K", "PASS@1", "PASS@K", "MAJ@K", "REWARD",
               "TOKENS", "FORMAT", "TRUNCATED", "UNSCORED", "NOTE"});
  for (const v1::Evaluation& e : evaluations)
    table.Add({e.name(), absl::StrCat(e.step()),
               e.prompts_done() < e.prompts() ? absl::StrCat(e.prompts_done(), "/", e.prompts())
                                              : absl::StrCat(e.prompts()),
               absl::StrCat(e.samples()), Number(e.pass_at_1()), Number(e.pass_at_k()),
               Number(e.majority_at_k()), Number(e.mean_reward()), Number(e.mean_tokens(), 1),
               Number(e.format_rate()), Number(e.truncated_rate()), absl::StrCat(e.unscored()),
               e.done() ? e.note() : "in progress"});
  table.Print(output);
}

absl::StatusOr<int> WatchRun(Context& context, const std::string& run_id, bool from_start) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  v1::GetRunRequest get;
  get.set_run_id(run_id);
  HONE_ASSIGN_OR_RETURN(const v1::GetRunResponse now,
                        Call(context, c, *c.runs, &RunStub::GetRun, get));
  Watch watch(context.output, from_start ? 0 : now.run().step());

  Mutex mu;
  grpc::ClientContext* calling = nullptr;  // under mu
  Interrupt interrupt([&] {
    MutexLock lock(mu);
    if (calling != nullptr) calling->TryCancel();
  });
  bool away = false;
  for (int attempt = 0; !Interrupt::raised(); ++attempt) {
    grpc::ClientContext call;
    rpc::PrepareStream(call);  // lasts as long as the run
    {
      MutexLock lock(mu);
      calling = &call;
      if (Interrupt::raised()) call.TryCancel();
    }
    v1::WatchRunRequest request;
    request.set_run_id(run_id);
    request.set_after_step(watch.after_step());
    const auto stream = c.runs->WatchRun(&call, request);
    v1::WatchRunResponse news;
    while (stream->Read(&news)) {
      if (away) {
        context.output.Note("connected again");
        // The stream leaves out evaluations of steps that were seen before the outage.
        v1::ListEvaluationsRequest list;
        list.set_run_id(run_id);
        if (const auto all = Call(context, c, *c.runs, &RunStub::ListEvaluations, list); all.ok())
          for (const v1::Evaluation& e : all->evaluations())
            if (e.step() > now.run().step() || from_start) watch.See(e);
      }
      away = false;
      attempt = 0;
      watch.See(news);
    }
    const absl::Status status = rpc::FromCall(stream->Finish(), c.peer);
    {
      MutexLock lock(mu);
      calling = nullptr;
    }
    if (Interrupt::raised()) break;
    if (status.ok()) {
      PrintSummary(context, c, watch.run());
      return ExitCodeOf(watch.run().state());
    }
    if (!rpc::IsRetryable(status)) return status;
    if (!away) context.output.Note(absl::StrCat(status.message(), "; waiting for it"));
    away = true;
    for (int i = 0; i < std::min(attempt + 1, 5) * 5 && !Interrupt::raised(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  context.output.Note(absl::StrCat("no longer watching; the run goes on. `hone run watch ", run_id,
                                   "` shows it again, `hone run cancel ", run_id, "` ends it"));
  return kExitInterrupted;
}

}  // namespace hone::cli
