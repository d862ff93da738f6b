#include "libs/base/periodic.h"

#include <pthread.h>

#include <utility>

#include "libs/base/check.h"

namespace hone {

void NameThisThread(absl::string_view name) {
  pthread_setname_np(pthread_self(), std::string(name.substr(0, 15)).c_str());
}

Periodic::Periodic(absl::string_view name, Duration period, std::function<void()> work)
    : name_(name), period_(period), work_(std::move(work)) {
  HONE_CHECK(period > Duration::zero()) << "period of " << name_;
  thread_ = std::thread([this] { Loop(); });
}

Periodic::~Periodic() {
  Stop();
}

void Periodic::Trigger() {
  MutexLock lock(mu_);
  triggered_ = true;
  wake_.notify_all();
}

void Periodic::Stop() {
  {
    MutexLock lock(mu_);
    stopped_ = true;
    wake_.notify_all();
  }
  HONE_CHECK(std::this_thread::get_id() != thread_.get_id()) << name_ << " stops itself";
  if (thread_.joinable()) thread_.join();
}

void Periodic::Loop() {
  NameThisThread(name_);
  while (true) {
    {
      MutexLock lock(mu_);
      lock.WaitUntil(wake_, std::chrono::steady_clock::now() + period_,
                     [this]()
                         ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_ || triggered_; });
      if (stopped_) return;
      triggered_ = false;
    }
    work_();
  }
}

}  // namespace hone
