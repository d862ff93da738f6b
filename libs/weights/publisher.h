#pragma once

#include <condition_variable>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/weights/snapshot.h"

namespace hone {

// The learner's newest weights, and those who wait for the next ones. Thread-safe; Publish is
// called from one thread at a time.
//
// Held are a whole version and the changes from each version to the next since then, together at
// most one and a half times the whole.
class Publisher {
 public:
  // Makes a version known: by its changes, if they are since the newest one here and few, else
  // whole. Clears v.changes. A version that is not above the newest of the same run is ignored:
  // workers never go back.
  void Publish(const WeightsVersion& v);
  using Transfers = std::vector<std::shared_ptr<const Snapshot>>;
  // Waits for weights of `run_id` above `have_version`. What to send, in order, to whoever has that
  // version; empty at the deadline, or when Close was called.
  Transfers WaitFor(const std::string& run_id, int64_t have_version, TimePoint deadline);
  std::shared_ptr<const Snapshot> newest() const;
  // Whether anybody ever waited.
  bool followed() const;
  // Wakes all waiters for good.
  void Close();
  bool closed() const;

 private:
  mutable Mutex mu_;
  std::condition_variable changed_;
  // Empty, or a whole version and the changes after it.
  Transfers transfers_ ABSL_GUARDED_BY(mu_);
  bool followed_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace hone
