#pragma once

#include <time.h>

#include <algorithm>
#include <functional>
#include <vector>

namespace hone::bench {

// Which time counts. kThread leaves out what other processes took from the calling thread: for work
// on one thread on a machine that is shared.
enum class Clock { kThread, kWall };

inline double Now(Clock clock) {
  timespec t;
  clock_gettime(clock == Clock::kThread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

struct Timed {
  std::function<void()> f;
  Clock clock = Clock::kThread;
};
struct Timing {
  double median, best;  // seconds per call
};

// Times several functions in turns, so that a busy moment of the machine hits all of them.
inline std::vector<Timing> Interleaved(const std::vector<Timed>& functions,
                                       double seconds_each = 0.05, int rounds = 15) {
  const auto seconds = [](const Timed& t, int repeats) {
    const double start = Now(t.clock);
    for (int i = 0; i < repeats; ++i) t.f();
    return (Now(t.clock) - start) / repeats;
  };
  std::vector<int> repeats;
  for (const Timed& t : functions) {
    t.f();
    const double once = std::max(seconds(t, 1), 1e-7);
    repeats.push_back(std::clamp(static_cast<int>(seconds_each / rounds / once), 1, 100000));
  }
  std::vector<std::vector<double>> times(functions.size());
  for (int r = 0; r < rounds; ++r)
    for (size_t i = 0; i < functions.size(); ++i)
      times[i].push_back(seconds(functions[i], repeats[i]));
  std::vector<Timing> result;
  for (auto& t : times) {
    std::sort(t.begin(), t.end());
    result.push_back({t[t.size() / 2], t[0]});
  }
  return result;
}

}  // namespace hone::bench
