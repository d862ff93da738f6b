#pragma once

// Calls that wait for something to happen, without a thread each: a waiting call is a function that
// is tried again when its topic changes, and a last time at its deadline.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/buffer/buffer.h"

namespace hone {

// Thread-safe. Attempts run one after another on one thread, so they must not block; thousands may
// wait.
class LongPolls {
 public:
  // Tries to answer; returns whether it did. With `last` it must.
  using Attempt = std::function<bool(bool last)>;

  LongPolls();
  ~LongPolls();  // as Stop

  // To be taken before looking at what is waited for, and given to Wait: changes between the two
  // count.
  uint64_t now() const;
  // Waits for a change of one of `topics` after `seen`. After Stop, tries a last time at once.
  void Wait(Topics topics, uint64_t seen, TimePoint deadline, Attempt attempt);
  void Notify(Topics topics);
  // Answers everybody who waits, and from then on at once.
  void Stop();
  bool stopped() const;
  int64_t waiting() const;

 private:
  struct Waiter {
    Topics topics;
    TimePoint deadline;
    Attempt attempt;
    bool due;  // something has changed
  };
  void Loop();

  mutable Mutex mu_;
  std::condition_variable wake_;
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
  uint64_t changes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool work_ ABSL_GUARDED_BY(mu_) = false;  // a waiter is due or new
  int64_t trying_ ABSL_GUARDED_BY(mu_) = 0;
  std::thread thread_;
};

}  // namespace hone
