#include "libs/loop/step_log.h"

#include "libs/base/clock.h"
#include "libs/base/periodic.h"

namespace hone {

StepLog::StepLog(TrajectorySource& source) : source_(source), thread_([this] { Loop(); }) {}

StepLog::~StepLog() {
  {
    MutexLock lock(mu_);
    stopped_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void StepLog::Add(v1::CommitStepRequest request) {
  MutexLock lock(mu_);
  queue_.push_back(std::move(request));
  changed_.notify_all();
}

absl::Status StepLog::Flush() {
  MutexLock lock(mu_);
  ++flushing_;
  changed_.notify_all();
  lock.WaitUntil(changed_, kNoDeadline, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !status_.ok() || (queue_.empty() && !sending_);
  });
  --flushing_;
  return status_;
}

v1::RunState StepLog::state() const {
  MutexLock lock(mu_);
  return state_;
}

void StepLog::Loop() {
  NameThisThread("step log");
  while (true) {
    v1::CommitStepRequest request;
    {
      MutexLock lock(mu_);
      lock.WaitUntil(changed_, kNoDeadline, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopped_ || (status_.ok() && !queue_.empty());
      });
      lock.WaitUntil(changed_, std::chrono::steady_clock::now() + kPause,
                     [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
                       return stopped_ || flushing_ > 0 || queue_.size() > 1;
                     });
      if (stopped_) return;
      request = std::move(queue_.front());
      queue_.pop_front();
      sending_ = true;
    }
    const auto response = source_.CommitStep(request);
    MutexLock lock(mu_);
    sending_ = false;
    if (response.ok()) {
      state_ = response->state();
    } else {
      status_ = response.status();
    }
    changed_.notify_all();
  }
}

}  // namespace hone
