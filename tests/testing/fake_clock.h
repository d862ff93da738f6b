#pragma once

// A clock that moves only when the test says so. Both times start at fixed values, so that what is
// printed or stored is the same in every run. Thread-safe.

#include <atomic>

#include "libs/base/check.h"
#include "libs/base/clock.h"

namespace hone::testing {

class FakeClock final : public Clock {
 public:
  TimePoint Now() const override { return TimePoint(std::chrono::hours(1)) + elapsed(); }
  // 2026-01-01T00:00:00Z at the start.
  WallTime WallNow() const override {
    return WallTime(std::chrono::seconds(1767225600)) + elapsed();
  }
  // Does not block: the sleeper's time passes at once, which is what tests of back-off want.
  void SleepFor(Duration duration) override {
    if (duration > Duration::zero()) Advance(duration);
  }

  void Advance(Duration duration) {
    HONE_CHECK(duration >= Duration::zero()) << "a monotonic clock cannot go back";
    elapsed_ns_ += duration.count();
  }
  // How far the clock was moved since it was made.
  Duration elapsed() const { return Duration(elapsed_ns_.load()); }

 private:
  std::atomic<int64_t> elapsed_ns_{0};
};

}  // namespace hone::testing
