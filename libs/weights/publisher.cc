#include "libs/weights/publisher.h"

#include <algorithm>

namespace hone {

void Publisher::Publish(const WeightsVersion& v) {
  int64_t newest = -1, room = 0;
  {
    MutexLock lock(mu_);
    if (!transfers_.empty() && transfers_.back()->manifest().run_id() == v.run_id) {
      newest = transfers_.back()->version();
      if (newest >= v.version) return;
      room = transfers_.front()->bytes() * 3 / 2;
      for (const auto& t : transfers_) room -= t->bytes();
    }
  }
  std::shared_ptr<const Snapshot> transfer;
  if (newest >= 0 && v.changes != nullptr && v.changes->since() == newest)
    transfer = Snapshot::TakeChanges(v, room);
  if (transfer == nullptr) transfer = Snapshot::Take(v);
  if (v.changes != nullptr) {
    const Device on(v.weights->table(), 1);
    v.changes->Clear(on, v.version);
    on.Synchronize();
  }
  MutexLock lock(mu_);
  if (transfer->whole()) transfers_.clear();
  transfers_.push_back(std::move(transfer));
  changed_.notify_all();
}

Publisher::Transfers Publisher::WaitFor(const std::string& run_id, int64_t have_version,
                                        TimePoint deadline) {
  MutexLock lock(mu_);
  followed_ = true;
  const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return closed_ || (!transfers_.empty() && transfers_.back()->manifest().run_id() == run_id &&
                       transfers_.back()->version() > have_version);
  };
  if (!lock.WaitUntil(changed_, deadline, ready) || closed_) return {};
  const auto had = std::find_if(transfers_.begin(), transfers_.end(),
                                [&](const auto& t) { return t->version() == have_version; });
  return {had == transfers_.end() ? transfers_.begin() : had + 1, transfers_.end()};
}

std::shared_ptr<const Snapshot> Publisher::newest() const {
  MutexLock lock(mu_);
  return transfers_.empty() ? nullptr : transfers_.back();
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
