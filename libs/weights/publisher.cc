#include "libs/weights/publisher.h"

namespace hone {

void Publisher::Publish(std::shared_ptr<const Snapshot> snapshot) {
  MutexLock lock(mu_);
  if (newest_ != nullptr && newest_->manifest().run_id() == snapshot->manifest().run_id() &&
      newest_->version() >= snapshot->version())
    return;
  newest_ = std::move(snapshot);
  changed_.notify_all();
}

std::shared_ptr<const Snapshot> Publisher::WaitFor(const std::string& run_id, int64_t have_version,
                                                   TimePoint deadline) {
  MutexLock lock(mu_);
  followed_ = true;
  const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return closed_ || (newest_ != nullptr && newest_->manifest().run_id() == run_id &&
                       newest_->version() > have_version);
  };
  if (!lock.WaitUntil(changed_, deadline, ready) || closed_) return nullptr;
  return newest_;
}

std::shared_ptr<const Snapshot> Publisher::newest() const {
  MutexLock lock(mu_);
  return newest_;
}

bool Publisher::followed() const {
  MutexLock lock(mu_);
  return followed_;
}

void Publisher::Close() {
  MutexLock lock(mu_);
  closed_ = true;
  changed_.notify_all();
}

bool Publisher::closed() const {
  MutexLock lock(mu_);
  return closed_;
}

}  // namespace hone
