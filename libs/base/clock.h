#pragma once

// Time as an interface, so that leases, back-off and ledgers can be tested without waiting.
// Monotonic time (Now) is for intervals and deadlines inside one process; wall time (WallNow) is
// only for what people read and what is written to disk. They are different types, so they cannot
// be mixed. Implementations are thread-safe. tests/testing/fake_clock.h has the one that tests move
// by hand.

#include <chrono>
#include <thread>

namespace hone {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// A deadline that never comes.
inline constexpr TimePoint kNoDeadline = TimePoint::max();

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  virtual WallTime WallNow() const = 0;
  // Blocks the caller for at least `duration` of this clock's time; returns at once when it is <=
  // 0.
  virtual void SleepFor(Duration duration) = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
  void SleepFor(Duration duration) override { std::this_thread::sleep_for(duration); }

  // The process-wide instance; never destroyed before its users, having no state.
  static SystemClock& Get() {
    static SystemClock clock;
    return clock;
  }
};

}  // namespace hone
