#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "libs/base/mutex.h"
#include "libs/loop/interfaces.h"
#include "libs/loop/step_log.h"
#include "libs/telemetry/ledger.h"
#include "libs/telemetry/metrics.h"
#include "libs/train/trainer.h"

namespace hone {

// A learner: takes a run, goes through its stages from the newest durable checkpoint on, publishes
// weights, and takes the next run, until Stop. A synchronous run that is killed anywhere and
// resumed ends with the same bits: batches are stored by the coordinator, and every random number
// is keyed by what it is for.
//
// Run once, in one thread; Stop from any.
class LearnerLoop {
 public:
  struct Options {
    std::string learner_id;
    uint64_t incarnation = 0;
    std::string weights_address;  // where workers reach this learner's WeightsService
    int threads = 1;
    bool once = false;  // return after one run instead of waiting for the next
  };
  // What it uses must outlive it. `metrics` may be null.
  LearnerLoop(const Options& options, TrajectorySource& source, WeightsSink& sink,
              Metrics* metrics);
  ~LearnerLoop();

  // A run that cannot go on is reported to the coordinator as FAILED and does not end the loop. An
  // error is one of this process: it cannot reach its coordinator in a way that waiting would mend.
  absl::Status Run();
  // Ends after the step in progress. The run goes on wherever it is acquired next.
  void Stop() { stop_ = true; }

  const Ledger& ledger() const { return ledger_; }
  struct Stats {
    std::string run_id;
    std::string stage;
    int64_t step = 0;
    int64_t published_version = -1;
  };
  Stats stats() const;

 private:
  struct Session;  // the run being worked on

  absl::Status Work(const v1::AcquireRunResponse& acquired);
  absl::Status Load(Session& s, const v1::AcquireRunResponse& acquired);
  absl::Status RunSft(Session& s, const v1::StageSpec& stage);
  absl::Status RunPretrain(Session& s, const v1::StageSpec& stage);
  // The steps of a stage that learns from `data`, shuffled per epoch.
  absl::Status TrainOn(const std::vector<Demonstration>& data, const v1::SftStage& spec, Session& s,
                       const v1::StageSpec& stage);
  absl::Status RunGrpo(Session& s, const v1::StageSpec& stage);
  absl::StatusOr<TrajectorySource::Batch> Pull(Session& s, const v1::StageSpec& stage);
  // After every step: metrics, publishing, checkpoints, pause and cancellation.
  absl::Status AfterStep(Session& s, const v1::StageSpec& stage, StepValues values, bool publish,
                         bool last);
  void Publish(Session& s);
  absl::Status Save(Session& s);
  absl::Status EvaluateAll(Session& s, const std::string& gate, double min_pass_at_1);
  absl::Status Obey(Session& s);

  const Options options_;
  TrajectorySource& source_;
  WeightsSink& sink_;
  Metrics* const metrics_;
  Ledger ledger_;
  std::vector<Metrics::Callback> exported_;
  std::map<std::string, Gauge> gauges_;
  std::atomic<bool> stop_{false};
  mutable Mutex mu_;
  Stats stats_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hone
