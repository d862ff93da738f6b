#include "libs/reward/fair_pool.h"

#include <algorithm>
#include <utility>

#include "libs/base/check.h"

namespace hone {

FairPool::FairPool(int threads) {
  HONE_CHECK(threads >= 1) << threads << " threads";
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

FairPool::~FairPool() {
  {
    MutexLock lock(mu_);
    ending_ = true;
    arrived_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
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

void FairPool::Work() {
  for (;;) {
    Task task;
    {
      MutexLock lock(mu_);
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
    }
    task();
  }
}

}  // namespace hone
