#pragma once

// Threads that several callers share, turn by turn.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <thread>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/periodic.h"

namespace hone {

// Each caller has a lane. Tasks of one lane start in order; lanes with waiting tasks take turns
// task by task, so that one caller's thousand items do not stand before another's one. A task that
// takes longer than `slow_after` gives its place to the next one: a spare thread is started for it,
// and ends when the slow task has ended. Submit never waits: a caller bounds what it has waiting.
// Thread-safe.
class FairPool {
 public:
  using Task = std::function<void()>;

  // `threads` >= 1 tasks at once, those that are slow not counted; at most `spare` more threads.
  explicit FairPool(int threads, int spare = 0, Duration slow_after = std::chrono::seconds(1));
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

  // Tasks of all lanes that wait, that run, and those of them that are slow.
  size_t waiting() const;
  size_t running() const;
  size_t slow() const;

 private:
  struct Worker {
    std::thread thread;
    TimePoint since = kNoDeadline;  // when its task began
    bool slow = false;
    bool ended = false;
  };

  void StartWorker() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Work(Worker& self);
  // Marks slow tasks, starts spare threads for those that wait behind them, joins ended ones.
  void Look();

  const size_t threads_;
  const size_t spare_;
  const Duration slow_after_;
  mutable Mutex mu_;
  std::condition_variable arrived_;
  // Lanes with waiting tasks only; `turns_` has each of them once, the next one first.
  std::map<uint64_t, std::deque<Task>> lanes_ ABSL_GUARDED_BY(mu_);
  std::deque<uint64_t> turns_ ABSL_GUARDED_BY(mu_);
  size_t waiting_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t next_lane_ ABSL_GUARDED_BY(mu_) = 1;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::list<Worker> workers_ ABSL_GUARDED_BY(mu_);
  size_t live_ ABSL_GUARDED_BY(mu_) = 0;  // workers that have not ended
  size_t slow_ ABSL_GUARDED_BY(mu_) = 0;  // of them
  std::unique_ptr<Periodic> look_;        // where there are spare threads
};

}  // namespace hone
