#pragma once

// Threads that several callers share, turn by turn.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "libs/base/mutex.h"

namespace hone {

// Each caller has a lane. Tasks of one lane start in order; lanes with waiting tasks take turns
// task by task, so that one caller's thousand items do not stand before another's one. A task that
// takes long holds one thread, nothing else. Submit never waits: a caller bounds what it has
// waiting. Thread-safe.
class FairPool {
 public:
  using Task = std::function<void()>;

  // `threads` >= 1.
  explicit FairPool(int threads);
  // Runs what is waiting, then ends the threads. Nobody may submit any more.
  ~FairPool();
  FairPool(const FairPool&) = delete;
  FairPool& operator=(const FairPool&) = delete;

  // A number that no other lane has.
  uint64_t NewLane();
  void Submit(uint64_t lane, Task task);
  // Forgets the tasks of `lane` that have not started; how many they were. Those that have started
  // go on.
  size_t Cancel(uint64_t lane);

  // Waiting tasks of all lanes; for metrics.
  size_t waiting() const;

 private:
  void Work();

  mutable Mutex mu_;
  std::condition_variable arrived_;
  // Lanes with waiting tasks only; `turns_` has each of them once, the next one first.
  std::map<uint64_t, std::deque<Task>> lanes_ ABSL_GUARDED_BY(mu_);
  std::deque<uint64_t> turns_ ABSL_GUARDED_BY(mu_);
  size_t waiting_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t next_lane_ ABSL_GUARDED_BY(mu_) = 1;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace hone
