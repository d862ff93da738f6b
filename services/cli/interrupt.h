#pragma once

#include <functional>
#include <thread>

namespace hone::cli {

// While it lives, the first SIGINT or SIGTERM calls `stop` (on a thread of its own, within 50 ms)
// instead of ending the process; a second one ends it. One at a time.
class Interrupt {
 public:
  explicit Interrupt(std::function<void()> stop);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  static bool raised();

 private:
  std::function<void()> stop_;
  std::thread thread_;  // last: starts when the rest is there
};

}  // namespace hone::cli
