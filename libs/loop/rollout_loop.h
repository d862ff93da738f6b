#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/mutex.h"
#include "libs/base/queue.h"
#include "libs/engine/engine.h"
#include "libs/loop/interfaces.h"
#include "libs/telemetry/ledger.h"
#include "libs/telemetry/metrics.h"
#include "libs/tokenizer/tokenizer.h"

namespace hone {

// A rollout worker: leases prompts, generates groups, has each completion judged as it ends,
// commits whole groups, and swaps in new weights between steps. Serves one run after another until
// Stop.
//
// Threads: one that owns the engine (Run's caller), one that leases, one that keeps the
// registration alive, one that commits. Run once; Stop from any thread.
class RolloutLoop {
 public:
  struct Options {
    std::string worker_id;
    uint64_t incarnation = 0;  // new on every start
    int threads = 1;
    int64_t max_sequences = 1024;  // decoding at once; also bounds what is leased ahead
    int64_t max_batch_tokens = 2048;
    int64_t cache_tokens = 128 * 1024;
    InFlight in_flight = InFlight::kKeep;  // for asynchronous runs when weights change
    // How long Generate and Score wait for weights that a learner in this process is changing. One
    // that publishes every step is done in a moment, a supervised stage is not.
    Duration patience = std::chrono::seconds(5);
  };
  // What it uses must outlive it. `metrics` may be null.
  RolloutLoop(const Options& options, PromptSource& prompts, VerdictSource& verdicts,
              TrajectorySink& sink, WeightsSource& weights, Metrics* metrics);
  ~RolloutLoop();

  // Works until Stop. An error means that this worker cannot serve the run it was given (model
  // folder unreadable, wrong tokenizer): it hands its leases back first.
  absl::Status Run();
  // Finishes what is being generated when `drain`, else hands it back; then Run returns.
  void Stop(bool drain);

  // For people who want the engine directly (RolloutService). Both wait for the engine's thread.
  // FAILED_PRECONDITION while no run is served, no weights have come, or a learner in this process
  // has had them for longer than `patience`; else as Engine::Submit and Score. `done` is called on
  // the engine's thread once per completion.
  absl::Status Generate(GroupRequest request, const std::string& prompt_text,
                        std::function<void(v1::Completion)> done);
  absl::StatusOr<std::vector<float>> Score(const std::vector<int32_t>& tokens, float temperature,
                                           int64_t* version);

  const Ledger& ledger() const { return ledger_; }
  struct Stats {
    std::string run_id;
    int64_t weights_version = -1;
    int64_t running = 0;
    int64_t waiting = 0;
    int64_t generated_tokens = 0;
  };
  Stats stats() const;

 private:
  struct Assignment;  // the run being served: model, tokenizer, engine
  struct Pending;     // a group in the making
  // What runs on the engine's thread between steps; null when nothing is served.
  using Visit = std::function<void(Assignment*)>;

  absl::Status Serve(const v1::RegisterWorkerResponse& assigned);
  absl::StatusOr<std::unique_ptr<Assignment>> Prepare(const v1::RegisterWorkerResponse& assigned);
  void LeaseThread(Assignment& a);
  void CommitThread();
  v1::RegisterWorkerRequest Registration(Duration wait) const;
  void Submit(Assignment& a, const v1::Lease& lease);
  void Finished(Assignment& a, const GroupRequest& request, v1::Completion completion);
  void Judged(const std::shared_ptr<Pending>& group, int index, TimePoint finished,
              v1::Verdict verdict);
  bool IsDue(const v1::Lease& lease) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool AnyDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int64_t Ahead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);  // sequences of leases that are not due
  bool SwapWeights(Assignment& a);
  void GiveBack(Assignment& a);
  void VisitEngine(const Visit& visit);  // waits until it was called
  void ServeVisits(Assignment* a);
  bool Done(Assignment& a) const;

  const Options options_;
  PromptSource& prompts_;
  VerdictSource& verdicts_;
  TrajectorySink& sink_;
  WeightsSource& weights_;
  Ledger ledger_;
  std::vector<Metrics::Callback> exported_;
  Counter tokens_, prefill_tokens_, groups_, completions_;

  mutable Mutex mu_;
  std::condition_variable wake_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool drain_ ABSL_GUARDED_BY(mu_) = false;
  bool reassigned_ ABSL_GUARDED_BY(mu_) =
      false;  // the coordinator gave this worker another run, or none
  bool weights_arrived_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<v1::Lease> leased_ ABSL_GUARDED_BY(mu_);
  int64_t sequences_ ABSL_GUARDED_BY(mu_) = 0;  // leased and not yet generated
  int64_t version_ ABSL_GUARDED_BY(mu_) = -1;   // in the engine
  // Since when the engine has been without weights, because the learner makes the next version in
  // their place. Nothing is running then, and what comes waits for that version.
  std::optional<TimePoint> given_back_ ABSL_GUARDED_BY(mu_);
  int64_t judging_ ABSL_GUARDED_BY(mu_) = 0;  // groups generated and not yet committed
  int64_t scoring_ ABSL_GUARDED_BY(mu_) = 0;  // completions whose verdict is on its way
  std::deque<std::function<void(Assignment*)>> visits_ ABSL_GUARDED_BY(mu_);
  bool visitable_ ABSL_GUARDED_BY(mu_) = false;  // Run is going on
  Stats stats_ ABSL_GUARDED_BY(mu_);
  Queue<v1::CommitGroupRequest> commits_;
  std::atomic<int64_t> request_ids_{0};
};

}  // namespace hone
