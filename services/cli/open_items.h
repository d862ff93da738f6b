#pragma once

// Completions on their way to a verdict, of which there are never too many.

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <utility>

#include "libs/base/mutex.h"
#include "proto/hone/v1/reward.pb.h"

namespace hone::cli {

// Counts what a Judge or a reward service has. One thread calls Expect and Wait; verdicts come on
// any thread, and this outlives them.
class OpenItems {
 public:
  // `most` >= 1 at once. `waiting` is called five times a second by the thread that waits, with the
  // number of verdicts so far.
  OpenItems(size_t most, std::function<void(size_t done)> waiting)
      : most_(most), waiting_(std::move(waiting)) {}

  // Waits until fewer than `most` are open. What it returns is to be called once, with the verdict
  // for `*verdict`, which nobody may look at before Wait has returned.
  std::function<void(v1::Verdict)> Expect(v1::Verdict* verdict);
  // Waits until none is open.
  void Wait();

  size_t done() const {
    MutexLock lock(mu_);
    return done_;
  }

 private:
  void WaitUntilFewerThan(size_t most);

  const size_t most_;
  const std::function<void(size_t)> waiting_;
  mutable Mutex mu_;
  std::condition_variable changed_;
  size_t open_ ABSL_GUARDED_BY(mu_) = 0;
  size_t done_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hone::cli
