#pragma once

#include <condition_variable>
#include <memory>
#include <string>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/weights/snapshot.h"

namespace hone {

// The learner's newest snapshot, and those who wait for the next one. Thread-safe.
class Publisher {
 public:
  // Replaces the newest snapshot. A lower version of the same run is ignored: workers never go
  // back.
  void Publish(std::shared_ptr<const Snapshot> snapshot);
  // Waits for a snapshot of `run_id` above `have_version`; null at the deadline, or when Close was
  // called.
  std::shared_ptr<const Snapshot> WaitFor(const std::string& run_id, int64_t have_version,
                                          TimePoint deadline);
  std::shared_ptr<const Snapshot> newest() const;
  // Whether anybody ever waited.
  bool followed() const;
  // Wakes all waiters for good.
  void Close();
  bool closed() const;

 private:
  mutable Mutex mu_;
  std::condition_variable changed_;
  std::shared_ptr<const Snapshot> newest_ ABSL_GUARDED_BY(mu_);
  bool followed_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace hone
