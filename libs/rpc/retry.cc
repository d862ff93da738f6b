#include "libs/rpc/retry.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/rpc/status.h"

namespace hone::rpc {
namespace {

double Seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

bool IsRetryable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

Retrier::Retrier(std::string peer, RetryPolicy policy, std::function<bool()> stop, Clock& clock)
    : peer_(std::move(peer)), policy_(policy), stop_(std::move(stop)), clock_(clock) {}

absl::Status Retrier::Run(TimePoint deadline, absl::FunctionRef<absl::Status()> call) {
  const TimePoint start = clock_.Now();
  for (int attempt = 0;; ++attempt) {
    if (stop_ != nullptr && stop_())
      return absl::CancelledError(absl::StrCat("gave up waiting for ", peer_, ": shutting down"));
    absl::Status status = call();
    if (!IsRetryable(status)) {
      // Any answer, be it an error, says that the peer is there. A deadline says nothing.
      if (!absl::IsDeadlineExceeded(status) && !absl::IsCancelled(status)) Succeeded();
      return status;
    }
    Failed(status);
    const Duration pause = Pause(attempt, status);
    const TimePoint now = clock_.Now();
    // No attempt is left for after the pause.
    if (deadline != kNoDeadline && deadline - now <= pause) {
      absl::Status late = absl::DeadlineExceededError(
          absl::StrCat("waited ", Seconds(now - start), " s for ", peer_, ": ", status.message()));
      status.ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
        late.SetPayload(type, payload);
      });
      return late;
    }
    if (!Sleep(pause))
      return absl::CancelledError(absl::StrCat("gave up waiting for ", peer_, ": shutting down"));
  }
}

Duration Retrier::Pause(int attempt, const absl::Status& status) const {
  thread_local std::mt19937_64 random{std::random_device{}()};
  const double grown = Seconds(policy_.initial) * std::pow(policy_.factor, std::min(attempt, 60));
  const double spread =
      std::uniform_real_distribution<double>(1 - policy_.jitter, 1 + policy_.jitter)(random);
  const auto pause = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(grown, Seconds(policy_.max)) * spread));
  return std::max(pause, RetryDelayOf(status).value_or(Duration::zero()));
}

bool Retrier::Sleep(Duration pause) {
  if (stop_ == nullptr) {
    clock_.SleepFor(pause);
    return true;
  }
  for (Duration left = pause; left > Duration::zero();) {
    if (stop_()) return false;
    const Duration slice = std::min<Duration>(left, std::chrono::milliseconds(100));
    clock_.SleepFor(slice);
    left -= slice;
  }
  return true;
}

void Retrier::Failed(const absl::Status& status) {
  {
    MutexLock lock(mu_);
    if (away_) return;
    away_ = true;
    away_since_ = clock_.Now();
  }
  Log(LogLevel::kWarning, absl::StrCat("waiting for ", peer_), {{"error", status}});
}

void Retrier::Succeeded() {
  Duration away;
  {
    MutexLock lock(mu_);
    if (!std::exchange(away_, false)) return;
    away = clock_.Now() - away_since_;
  }
  Log(LogLevel::kInfo, absl::StrCat("back: ", peer_), {{"seconds", Seconds(away)}});
}

}  // namespace hone::rpc
