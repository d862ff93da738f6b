#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/shutdown.h"
#include "services/cli/output.h"
#include "services/cli/up/child.h"

namespace hone::cli {

// Runs services until a signal comes or one of them cannot be kept alive.
class Supervisor {
 public:
  struct Policy {
    // A service that ends sooner than this after its start crashed fast; so many in a row are
    // enough.
    Duration fast = std::chrono::seconds(10);
    int most_fast_crashes = 5;
    Duration first_pause = std::chrono::milliseconds(500);  // doubles with each fast crash
    Duration drain = std::chrono::seconds(20);              // then SIGKILL
    Duration ready = std::chrono::seconds(60);              // all must be ready by then
  };

  // In the order of `plans`, which is reversed when they are stopped. `output` and `signals`
  // outlive this.
  Supervisor(std::vector<ServicePlan> plans, const Policy& policy, ShutdownSignals& signals,
             Output& output);

  // Starts all, calls `ready` once when they are, and keeps them running until SIGTERM or SIGINT.
  // An error, with the end of the log, when a service keeps crashing or does not get ready. All are
  // stopped when this returns.
  absl::Status Run(const std::function<void()>& ready);

  const std::vector<Child>& children() const { return children_; }

 private:
  struct State {
    int fast_crashes = 0;
    TimePoint restart_at;  // when it is not running
  };

  absl::Status Serve(const std::function<void()>& ready);
  absl::Status Watch(size_t i);
  void Stop();

  const Policy policy_;
  ShutdownSignals& signals_;
  Output& output_;
  std::vector<Child> children_;
  std::vector<State> states_;
};

}  // namespace hone::cli
