#include "libs/reward/fair_pool.h"

#include <algorithm>
#include <utility>

#include "libs/base/check.h"

namespace hone {

FairPool::FairPool(int threads, int spare, Duration slow_after)
    : threads_(static_cast<size_t>(threads)),
      spare_(static_cast<size_t>(spare)),
      slow_after_(slow_after) {
  HONE_CHECK(threads >= 1 && spare >= 0) << threads << " threads, " << spare << " spare";
  {
    MutexLock lock(mu_);
    for (int i = 0; i < threads; ++i) StartWorker();
  }
  if (spare > 0) look_ = std::make_unique<Periodic>("pool", slow_after / 4, [this] { Look(); });
}

FairPool::~FairPool() {
  look_.reset();
  std::list<Worker>* workers;
  {
    MutexLock lock(mu_);
    ending_ = true;
    arrived_.notify_all();
    workers = &workers_;  // nobody adds to it any more
  }
  for (Worker& worker : *workers) worker.thread.join();
}

void FairPool::StartWorker() {
  Worker& worker = workers_.emplace_back();
  ++live_;
  worker.thread = std::thread([this, &worker] { Work(worker); });
}

uint64_t FairPool::NewLane() {
  MutexLock lock(mu_);
  return next_lane_++;
}

void FairPool::Submit(uint64_t lane, Task task) {
  MutexLock lock(mu_);
  HONE_CHECK(!ending_) << "a task for a pool that ends";
  std::deque<Task>& tasks = lanes_[lane];
  if (tasks.empty()) turns_.push_back(lane);
  tasks.push_back(std::move(task));
  ++waiting_;
  arrived_.notify_one();
}

size_t FairPool::Cancel(uint64_t lane) {
  std::deque<Task> forgotten;  // destroyed without the lock
  MutexLock lock(mu_);
  auto it = lanes_.find(lane);
  if (it == lanes_.end()) return 0;
  forgotten = std::move(it->second);
  lanes_.erase(it);
  turns_.erase(std::find(turns_.begin(), turns_.end(), lane));
  waiting_ -= forgotten.size();
  return forgotten.size();
}

size_t FairPool::waiting() const {
  MutexLock lock(mu_);
  return waiting_;
}

size_t FairPool::running() const {
  MutexLock lock(mu_);
  return static_cast<size_t>(std::count_if(workers_.begin(), workers_.end(),
                                           [](const Worker& w) { return w.since != kNoDeadline; }));
}

size_t FairPool::slow() const {
  MutexLock lock(mu_);
  return slow_;
}

void FairPool::Look() {
  std::list<Worker> ended;
  {
    MutexLock lock(mu_);
    const TimePoint now = SystemClock::Get().Now();
    for (auto it = workers_.begin(); it != workers_.end();) {
      const auto next = std::next(it);
      if (it->ended) {
        ended.splice(ended.end(), workers_, it);
      } else if (!it->slow && it->since != kNoDeadline && now - it->since > slow_after_) {
        it->slow = true;
        ++slow_;
      }
      it = next;
    }
    for (size_t wanted = waiting_;
         wanted > 0 && live_ - slow_ < threads_ && live_ < threads_ + spare_; --wanted)
      StartWorker();
  }
  for (Worker& worker : ended) worker.thread.join();
}

void FairPool::Work(Worker& self) {
  NameThisThread("score");
  for (;;) {
    Task task;
    {
      MutexLock lock(mu_);
      if (self.slow) --slow_;
      self.slow = false;
      self.since = kNoDeadline;
      // A spare thread stood in for this one meanwhile: one of them is too many.
      if (live_ - slow_ > threads_ && !ending_) {
        self.ended = true;
        --live_;
        return;
      }
      lock.Wait(arrived_,
                [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return ending_ || !turns_.empty(); });
      if (turns_.empty()) return;
      const uint64_t lane = turns_.front();
      turns_.pop_front();
      auto it = lanes_.find(lane);
      task = std::move(it->second.front());
      it->second.pop_front();
      if (it->second.empty())
        lanes_.erase(it);
      else
        turns_.push_back(lane);
      --waiting_;
      self.since = SystemClock::Get().Now();
    }
    task();
  }
}

}  // namespace hone
