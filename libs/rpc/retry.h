#pragma once

// Waiting for a peer that is away: again and again with rising pauses, with one line in the log
// when it begins and one when it ends.

#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace hone::rpc {

// Pauses grow from `initial` by `factor` up to `max`; each is drawn from [1 - jitter, 1 + jitter]
// times that, so that many workers do not come back at the same moment.
struct RetryPolicy {
  Duration initial = std::chrono::milliseconds(100);
  Duration max = std::chrono::seconds(5);
  double factor = 2;
  double jitter = 0.3;
};

// UNAVAILABLE (nobody there, or not ready) and RESOURCE_EXHAUSTED (too busy). All else would fail
// again.
bool IsRetryable(const absl::Status& status);

// Calls to one peer. Thread-safe; an outage is common to all threads, so it is logged once.
class Retrier {
 public:
  // `peer` is for people: "coordinator at 10.0.0.7:50051". `stop` (may be null) ends waiting early:
  // it is asked at least every 100 ms and must be cheap and thread-safe. `clock` outlives the
  // retrier.
  explicit Retrier(std::string peer, RetryPolicy policy = {}, std::function<bool()> stop = nullptr,
                   Clock& clock = SystemClock::Get());

  // Runs `call` until it returns something that is not retryable, and returns that. A pause that a
  // server asks for (RetryInfo) replaces a shorter one of ours. DEADLINE_EXCEEDED: "waited 30 s for
  // coordinator at ...: <last message>", with the last error's details. CANCELLED: `stop` said so.
  absl::Status Run(TimePoint deadline, absl::FunctionRef<absl::Status()> call);

  const std::string& peer() const { return peer_; }

 private:
  Duration Pause(int attempt, const absl::Status& status) const;
  bool Sleep(Duration pause);  // false: stopped
  void Failed(const absl::Status& status);
  void Succeeded();

  const std::string peer_;
  const RetryPolicy policy_;
  const std::function<bool()> stop_;
  Clock& clock_;
  Mutex mu_;
  bool away_ ABSL_GUARDED_BY(mu_) = false;
  TimePoint away_since_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hone::rpc
