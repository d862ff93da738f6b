#pragma once

// Who is alive, by what was last heard of whom.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/buffer/store.h"

namespace hone {

// Liveness is kept in memory: after a restart everybody whom the store knows to hold something
// counts as heard of at that moment. Incarnations are durable, so that a worker that was replaced
// cannot come back. Not thread-safe. `store` and `clock` must outlive it.
class Workers {
 public:
  struct Worker {
    uint64_t incarnation = 0;  // 0: not known yet
    std::string run_id;
    int64_t weights_version = -1;
    uint64_t last_request = 0;  // LeasePrompts; 0: not known
    bool last_leased = false;   // it got leases
    TimePoint heard;
  };

  // `role`: "rollout" or "learner"; each has its own names.
  Workers(Store& store, const Clock& clock, std::string role)
      : store_(store), clock_(clock), role_(std::move(role)) {}

  // Notes a sign of life. ABORTED when `incarnation` was replaced by a newer one. `*fresh` tells
  // that this incarnation was not known to be alive: what others of the name hold is to be
  // returned.
  absl::Status Hear(const std::string& id, uint64_t incarnation, bool* fresh);
  // Null when not alive.
  Worker* Find(const std::string& id);
  const std::string& role() const { return role_; }
  const std::map<std::string, Worker>& all() const { return workers_; }
  // A sign of life without an incarnation; empty ids are nobody.
  void Assume(const std::string& id);
  // Forgets those not heard of for `limit` and returns their names.
  std::vector<std::string> TakeSilent(Duration limit);

 private:
  Store& store_;
  const Clock& clock_;
  const std::string role_;
  std::map<std::string, Worker> workers_;
};

}  // namespace hone
