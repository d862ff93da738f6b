#pragma once

#include <condition_variable>
#include <deque>
#include <thread>

#include "absl/status/status.h"
#include "libs/base/mutex.h"
#include "libs/loop/interfaces.h"

namespace hone {

// Commits steps in order in the background, so that a step's publishing, or the next supervised
// step, does not wait for the coordinator's disk. A step waits a little for a processor that is not
// needed to get its weights to the workers. Thread-safe.
class StepLog {
 public:
  // `source` must outlive this.
  explicit StepLog(TrajectorySource& source);
  // Drops what was not sent.
  ~StepLog();

  void Add(v1::CommitStepRequest request);
  // Waits until all are committed. The first error, if there was one, for good: what came after it
  // was not sent.
  absl::Status Flush();
  // What the coordinator answered last.
  v1::RunState state() const;

  static constexpr Duration kPause = std::chrono::milliseconds(4);

 private:
  void Loop();

  TrajectorySource& source_;
  mutable Mutex mu_;
  std::condition_variable changed_;
  std::deque<v1::CommitStepRequest> queue_ ABSL_GUARDED_BY(mu_);
  int flushing_ ABSL_GUARDED_BY(mu_) = 0;  // callers of Flush: nothing pauses
  bool sending_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  v1::RunState state_ ABSL_GUARDED_BY(mu_) = v1::RUN_STATE_RUNNING;
  std::thread thread_;  // last: starts when everything above is there
};

}  // namespace hone
