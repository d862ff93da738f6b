#include "libs/loop/learner_loop.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "libs/base/log.h"
#include "libs/base/status.h"
#include "libs/loop/device_memory.h"
#include "libs/loop/model_folder.h"
#include "libs/loop/session.h"
#include "libs/model/lora.h"
#include "libs/weights/snapshot.h"

namespace hone {
namespace {

google::protobuf::Duration ProtoWait() {
  return google::protobuf::util::TimeUtil::SecondsToDuration(5);
}

}  // namespace

LearnerLoop::LearnerLoop(const Options& options, TrajectorySource& source, WeightsSink& sink,
                         Metrics* metrics)
    : options_(options),
      source_(source),
      sink_(sink),
      metrics_(metrics),
      ledger_({"idle", "bookkeeping", "load", "wait_batch", "train", "recall", "publish",
               "checkpoint", "evaluate", "wait_coordinator", "paused"}) {
  if (metrics != nullptr) exported_.push_back(ExportLedger(*metrics, "learner", ledger_));
}

LearnerLoop::~LearnerLoop() = default;

LearnerLoop::Stats LearnerLoop::stats() const {
  MutexLock lock(mu_);
  return stats_;
}

absl::Status LearnerLoop::Run() {
  while (!stop_) {
    v1::AcquireRunRequest request;
    request.set_learner_id(options_.learner_id);
    request.set_incarnation(options_.incarnation);
    request.set_weights_address(options_.weights_address);
    *request.mutable_wait() = google::protobuf::util::TimeUtil::SecondsToDuration(2);
    const auto acquired = source_.AcquireRun(request);
    if (absl::IsCancelled(acquired.status())) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(acquired.status());
    if (acquired->run_id().empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    const absl::Status status = Work(*acquired);
    if (stop_ || absl::IsCancelled(status)) return absl::OkStatus();
    if (absl::IsAborted(status)) {
      // Another learner holds the run, or the run was ended by its owner: not a failure of the run.
      Log(LogLevel::kWarning, absl::StrCat("run given up: ", status.ToString()),
          {{"run", acquired->run_id()}});
    } else if (!status.ok()) {
      Log(LogLevel::kError, absl::StrCat("run failed: ", status.ToString()),
          {{"run", acquired->run_id()}});
      v1::FailRunRequest fail;
      fail.set_run_id(acquired->run_id());
      fail.set_message(status.ToString());
      fail.set_incarnation(options_.incarnation);
      const absl::Status reported = source_.FailRun(fail);
      if (!reported.ok()) return reported;
    }
    if (options_.once) return status;
  }
  return absl::OkStatus();
}

absl::Status LearnerLoop::Load(Session& s, const v1::AcquireRunResponse& acquired) {
  auto scope = ledger_.Enter("load");
  s.run_id = acquired.run_id();
  s.spec = acquired.spec();
  s.highest_version = acquired.highest_version();
  const v1::ModelSpec& model = s.spec.model();
  HONE_ASSIGN_OR_RETURN(s.folder, OpenModelFolder(model));
  // A worker in this process or beside it hears of the last run's end by its heartbeat, and only
  // then gives its memory back.
  const TimePoint patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  absl::Status room = CheckTrainingMemory(s.spec, s.folder);
  while (!room.ok() && !stop_ && std::chrono::steady_clock::now() < patience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    room = CheckTrainingMemory(s.spec, s.folder);
  }
  HONE_RETURN_IF_ERROR(room);
  s.transformer = std::make_unique<Transformer>(s.folder.config, s.folder.max_context,
                                                s.folder.lora, *s.folder.table);
  s.trainer = std::make_unique<Trainer>(
      *s.transformer, Trainer::Options{.threads = options_.threads,
                                       .dtype = s.folder.dtype,
                                       .vocab = s.folder.vocab,
                                       .checkpointing = CheckpointingOf(model),
                                       .before_change = [this, &s] {
                                         auto recall = ledger_.Enter("recall");
                                         const TimePoint asked = std::chrono::steady_clock::now();
                                         sink_.Recall(s.trainer->weights());
                                         s.recalling += std::chrono::steady_clock::now() - asked;
                                       }});
  if (acquired.checkpoint_step() >= 0) {
    HONE_ASSIGN_OR_RETURN(
        s.position,

        LoadCheckpoint(acquired.checkpoint_path(), model, s.folder, *s.transformer, *s.trainer));
    if (s.position.step != acquired.checkpoint_step())
      return absl::DataLossError(absl::StrCat(acquired.checkpoint_path(), " is of step ",
                                              s.position.step, ", expected ",
                                              acquired.checkpoint_step()));
    s.resumed = true;
    s.base_digest = BaseDigest(s.trainer->weights());
    return absl::OkStatus();
  }
  if (model.random_init()) {
    InitializeWeights(s.transformer->layout(), s.spec.seed(), s.trainer->weights());
  } else {
    if (s.transformer->layout().adapted())
      InitializeAdapters(s.transformer->layout(), s.spec.seed(), s.trainer->weights());
    HONE_RETURN_IF_ERROR(
        LoadModelWeights(model, s.folder, s.transformer->layout(), s.trainer->weights()));
  }
  s.base_digest = BaseDigest(s.trainer->weights());
  s.trainer->WeightsChanged();
  return absl::OkStatus();
}

absl::Status LearnerLoop::Work(const v1::AcquireRunResponse& acquired) {
  auto scope = ledger_.Enter("bookkeeping");
  Session s;
  s.log = std::make_unique<StepLog>(source_);
  HONE_RETURN_IF_ERROR(Load(s, acquired));
  Log(LogLevel::kInfo, s.resumed ? "run resumed" : "run begins",
      {{"run", s.run_id},
       {"device", s.folder.table->name},
       {"step", s.position.step},
       {"parameters", s.transformer->layout().size()},
       {"trained", s.transformer->layout().trained_size()}});
  Publish(s);
  bool found = !s.resumed;
  for (const v1::StageSpec& stage : s.spec.stages()) {
    if (!found && stage.name() != s.position.stage) continue;  // done before the checkpoint
    const bool resumes = !found;
    found = true;
    if (!resumes) {
      s.position.stage = stage.name();
      s.position.stage_step = 0;
      const v1::KlSpec& kl = stage.grpo().kl();
      s.trainer->BeginStage(stage.has_grpo() && (kl.beta() > 0 || kl.monitor()));
    }
    v1::BeginStageRequest begin;
    begin.set_run_id(s.run_id);
    begin.set_stage(stage.name());
    begin.set_first_step(s.position.step - s.position.stage_step);
    begin.set_incarnation(options_.incarnation);
    HONE_RETURN_IF_ERROR(source_.BeginStage(begin));
    HONE_RETURN_IF_ERROR(stage.has_sft()        ? RunSft(s, stage)
                         : stage.has_pretrain() ? RunPretrain(s, stage)
                                                : RunGrpo(s, stage));
    if (stop_) return absl::OkStatus();
    v1::EndStageRequest end;
    end.set_run_id(s.run_id);
    end.set_stage(stage.name());
    end.set_succeeded(stage.name() == s.spec.stages(s.spec.stages_size() - 1).name());
    end.set_incarnation(options_.incarnation);
    HONE_RETURN_IF_ERROR(source_.EndStage(end));
  }
  if (!found)
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint is of stage ", s.position.stage, ", which the run lacks"));
  Log(LogLevel::kInfo, "run succeeded", {{"run", s.run_id}, {"step", s.position.step}});
  return absl::OkStatus();
}

absl::StatusOr<TrajectorySource::Batch> LearnerLoop::Pull(Session& s, const v1::StageSpec& stage) {
  auto scope = ledger_.Enter("wait_batch");
  while (!stop_) {
    v1::PullBatchRequest request;
    request.set_run_id(s.run_id);
    request.set_stage(stage.name());
    request.set_stage_step(s.position.stage_step + 1);
    request.set_step(s.position.step + 1);
    request.set_incarnation(options_.incarnation);
    *request.mutable_wait() = ProtoWait();
    auto batch = source_.PullBatch(request);
    if (batch.ok() || !absl::IsUnavailable(batch.status())) return batch;
    HONE_RETURN_IF_ERROR(Obey(s));
  }
  return absl::CancelledError("stopping");
}

absl::Status LearnerLoop::RunGrpo(Session& s, const v1::StageSpec& stage) {
  const v1::GrpoStage& spec = stage.grpo();
  s.last_step_end = std::chrono::steady_clock::now();
  while (s.position.stage_step < spec.steps() && !stop_) {
    const TimePoint asked = std::chrono::steady_clock::now();
    const auto batch = Pull(s, stage);
    if (stop_) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(batch.status());
    {
      // The step before is long committed, unless the coordinator was away.
      auto scope = ledger_.Enter("wait_coordinator");
      HONE_RETURN_IF_ERROR(s.log->Flush());
    }
    const TimePoint start = std::chrono::steady_clock::now();
    auto scope = ledger_.Enter("train");
    s.recalling = {};
    HONE_ASSIGN_OR_RETURN(StepValues values,
                          s.trainer->GrpoStep(spec, batch->groups, s.position.stage_step,
                                              s.position.step, s.spec.seed()));
    scope.Leave();
    const TimePoint end = std::chrono::steady_clock::now();
    values["wait_batch_seconds"] = Seconds(start - asked);
    values["train_seconds"] = Seconds(end - start - s.recalling);
    values["groups"] = static_cast<double>(batch->groups.size());
    double staleness = 0;
    double generate = 0, produce = 0;
    for (const v1::Group& g : batch->groups) {
      staleness += static_cast<double>(s.position.step - g.weights_version());
      for (const v1::Completion& c : g.completions()) {
        generate = std::max(generate, c.generate_seconds());
        produce = std::max(produce, c.generate_seconds() + c.score_seconds());
      }
    }
    values["generate_seconds"] = generate;
    values["score_seconds"] = produce - generate;
    if (!batch->groups.empty())
      values["staleness_mean"] = staleness / static_cast<double>(batch->groups.size());
    HONE_RETURN_IF_ERROR(AfterStep(s, stage, std::move(values), /*publish=*/true,
                                   s.position.stage_step + 1 == spec.steps()));
  }
  if (stop_) return absl::OkStatus();
  return EvaluateAll(s, "", 0);
}

void LearnerLoop::Publish(Session& s) {
  // Replayed versions are not served again: workers may have gone on with the later ones.
  if (s.position.step < s.highest_version) return;
  auto scope = ledger_.Enter("publish");
  sink_.Publish({.run_id = s.run_id,
                 .version = s.position.step,
                 .layout = s.transformer->layout(),
                 .weights = s.trainer->shared_weights(),
                 .base_digest = s.base_digest,
                 .changes = s.trainer->changes()});
  MutexLock lock(mu_);
  stats_.published_version = s.position.step;
}

absl::Status LearnerLoop::AfterStep(Session& s, const v1::StageSpec& stage, StepValues values,
                                    bool publish, bool last) {
  ++s.position.step;
  ++s.position.stage_step;
  const TimePoint now = std::chrono::steady_clock::now();
  // First of all, since workers wait for it. Should this process end before the step is committed,
  // the next one makes the same version again.
  if (publish) Publish(s);
  values["step_seconds"] = Seconds(now - s.last_step_end);
  s.last_step_end = now;
  const double seconds = values["train_seconds"];
  if (values.count("generate_seconds") > 0) {
    // Of a synchronous step: what is neither generation, nor scoring behind it, nor training.
    const double step = values["step_seconds"];
    values["coordination_fraction"] =
        std::max(0.0, step - seconds - values["generate_seconds"] - values["score_seconds"]) / step;
  }
  if (seconds > 0) values["train_tokens_per_second"] = values["batch_tokens"] / seconds;
  v1::CommitStepRequest commit;
  commit.set_run_id(s.run_id);
  commit.set_digest(WeightsDigest(s.trainer->weights()));
  commit.set_incarnation(options_.incarnation);
  v1::StepMetrics& m = *commit.mutable_metrics();
  m.set_step(s.position.step);
  m.set_stage(stage.name());
  m.set_stage_step(s.position.stage_step);
  for (const auto& [name, value] : values) (*m.mutable_values())[name] = value;
  *m.mutable_time() = google::protobuf::util::TimeUtil::GetCurrentTime();
  s.log->Add(std::move(commit));
  if (metrics_ != nullptr) {
    for (const auto& [name, value] : values) {
      auto it = gauges_.find(name);
      if (it == gauges_.end())
        it = gauges_
                 .emplace(name, metrics_->AddGauge("hone_learner_step_value",
                                                   "The newest step's metrics, by name.",
                                                   {{"name", name}}))
                 .first;
      it->second.Set(value);
    }
  }
  {
    MutexLock lock(mu_);
    stats_.run_id = s.run_id;
    stats_.stage = stage.name();
    stats_.step = s.position.step;
  }
  const int64_t every = s.spec.checkpoint().every_steps();
  if (last || (every > 0 && s.position.step % every == 0)) HONE_RETURN_IF_ERROR(Save(s));
  return Obey(s);
}

absl::Status LearnerLoop::Save(Session& s) {
  auto scope = ledger_.Enter("checkpoint");
  HONE_RETURN_IF_ERROR(s.log->Flush());
  const v1::CheckpointSpec& spec = s.spec.checkpoint();
  const TimePoint start = std::chrono::steady_clock::now();
  HONE_ASSIGN_OR_RETURN(
      const std::string path,
      SaveCheckpoint(spec.path(), spec.keep() > 0 ? spec.keep() : 3, s.spec.model().path(),
                     *s.transformer, *s.trainer, s.position));
  v1::CommitCheckpointRequest commit;
  commit.set_run_id(s.run_id);
  commit.set_step(s.position.step);
  commit.set_path(path);
  commit.set_incarnation(options_.incarnation);
  HONE_RETURN_IF_ERROR(source_.CommitCheckpoint(commit));
  Log(LogLevel::kInfo, "checkpoint",
      {{"path", path}, {"seconds", Seconds(std::chrono::steady_clock::now() - start)}});
  return absl::OkStatus();
}

absl::Status LearnerLoop::EvaluateAll(Session& s, const std::string& gate, double min_pass_at_1) {
  auto scope = ledger_.Enter("evaluate");
  HONE_RETURN_IF_ERROR(s.log->Flush());
  for (const v1::EvaluationSpec& spec : s.spec.evaluations()) {
    v1::EvaluateRequest request;
    request.set_run_id(s.run_id);
    request.set_name(spec.name());
    request.set_step(s.position.step);
    *request.mutable_wait() = ProtoWait();
    v1::Evaluation result;
    while (!result.done()) {
      if (stop_) return absl::OkStatus();
      HONE_RETURN_IF_ERROR(Obey(s));
      HONE_ASSIGN_OR_RETURN(result, source_.Evaluate(request));
    }
    Log(LogLevel::kInfo, "evaluation",
        {{"name", spec.name()}, {"step", s.position.step}, {"pass_at_1", result.pass_at_1()}});
    if (spec.name() == gate && result.pass_at_1() < min_pass_at_1)
      return absl::FailedPreconditionError(
          absl::StrCat("stage ", s.position.stage, " did not pass its gate: pass@1 of ", gate,
                       " is ", result.pass_at_1(), ", needed ", min_pass_at_1));
  }
  return absl::OkStatus();
}

// Waits while the run is paused; ABORTED when it was cancelled.
absl::Status LearnerLoop::Obey(Session& s) {
  v1::RunState state = s.log->state();
  if (state == v1::RUN_STATE_RUNNING || state == v1::RUN_STATE_PENDING) return absl::OkStatus();
  auto scope = ledger_.Enter("paused");
  while (!stop_) {
    v1::AcquireRunRequest request;
    request.set_learner_id(options_.learner_id);
    request.set_incarnation(options_.incarnation);
    request.set_weights_address(options_.weights_address);
    HONE_ASSIGN_OR_RETURN(const v1::AcquireRunResponse now, source_.AcquireRun(request));
    if (now.run_id() != s.run_id || now.state() == v1::RUN_STATE_CANCELLED)
      return absl::AbortedError("the run was cancelled");
    if (now.state() == v1::RUN_STATE_RUNNING) return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return absl::OkStatus();
}

}  // namespace hone
