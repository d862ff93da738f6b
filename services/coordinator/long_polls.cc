#include "services/coordinator/long_polls.h"

#include <algorithm>
#include <utility>

#include "libs/base/periodic.h"

namespace hone {

LongPolls::LongPolls() : thread_([this] { Loop(); }) {}

LongPolls::~LongPolls() {
  Stop();
  thread_.join();
}

uint64_t LongPolls::now() const {
  MutexLock lock(mu_);
  return changes_;
}

bool LongPolls::stopped() const {
  MutexLock lock(mu_);
  return stop_;
}

int64_t LongPolls::waiting() const {
  MutexLock lock(mu_);
  return static_cast<int64_t>(waiters_.size()) + trying_;
}

void LongPolls::Wait(Topics topics, uint64_t seen, TimePoint deadline, Attempt attempt) {
  {
    MutexLock lock(mu_);
    if (!stop_) {
      waiters_.push_back({topics, deadline, std::move(attempt), changes_ != seen});
      work_ = true;  // the thread may sleep beyond the new deadline
      wake_.notify_one();
      return;
    }
  }
  attempt(/*last=*/true);
}

void LongPolls::Notify(Topics topics) {
  MutexLock lock(mu_);
  ++changes_;
  for (Waiter& w : waiters_) w.due |= (w.topics & topics) != 0;
  work_ = true;
  wake_.notify_one();
}

void LongPolls::Stop() {
  MutexLock lock(mu_);
  stop_ = true;
  wake_.notify_one();
}

void LongPolls::Loop() {
  NameThisThread("long-polls");
  while (true) {
    std::vector<Waiter> due;
    std::vector<bool> last;
    bool stopping = false;
    uint64_t seen = 0;
    {
      MutexLock lock(mu_);
      TimePoint earliest = kNoDeadline;
      for (const Waiter& w : waiters_) earliest = std::min(earliest, w.deadline);
      lock.WaitUntil(wake_, earliest,
                     [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return work_ || stop_; });
      work_ = false;
      stopping = stop_;
      seen = changes_;
      const TimePoint now = SystemClock::Get().Now();
      auto first = std::stable_partition(waiters_.begin(), waiters_.end(), [&](const Waiter& w) {
        return !(w.due || stopping || w.deadline <= now);
      });
      for (auto w = first; w != waiters_.end(); ++w) {
        last.push_back(stopping || w->deadline <= now);
        due.push_back(std::move(*w));
      }
      waiters_.erase(first, waiters_.end());
      trying_ = static_cast<int64_t>(due.size());
      if (stopping && due.empty()) return;
    }
    for (size_t i = 0; i < due.size(); ++i)
      if (due[i].attempt(last[i])) due[i].attempt = nullptr;
    MutexLock lock(mu_);
    trying_ = 0;
    for (Waiter& w : due) {
      if (w.attempt == nullptr) continue;
      w.due = changes_ != seen;
      work_ |= w.due;
      waiters_.push_back(std::move(w));
    }
  }
}

}  // namespace hone
