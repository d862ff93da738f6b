#pragma once

// How a service ends. The order that works:
//   1. main blocks the signals before any thread exists (gRPC, the admin server and prometheus
//   start
//      some): a thread made earlier would take the signal and the process would die without
//      draining;
//   2. servers start; main waits;
//   3. readiness goes to "no", servers drain with a deadline, state is flushed, main returns 0.
//
//   int main() {
//     hone::ShutdownSignals signals;      // First line.
//     ...start servers...
//     signals.Wait();
//     ...drain...
//   }
//
// A second SIGTERM or SIGINT while draining ends the process at once.

#include <optional>

#include "libs/base/clock.h"

namespace hone {

// One per process, made in main's thread. Wait and WaitFor from that thread only.
class ShutdownSignals {
 public:
  // Blocks SIGTERM and SIGINT in this thread and all that it will start, and ignores SIGPIPE (a
  // peer that hangs up is an error of write(2), not of the process). Warns when other threads exist
  // already.
  ShutdownSignals();
  // Unblocks them again.
  ~ShutdownSignals();
  ShutdownSignals(const ShutdownSignals&) = delete;
  ShutdownSignals& operator=(const ShutdownSignals&) = delete;

  // Blocks until SIGTERM or SIGINT comes, and returns which. From then on the next one kills.
  int Wait();
  // As Wait, but gives up after `timeout`.
  std::optional<int> WaitFor(Duration timeout);

  // Makes Wait return SIGTERM; from any thread, for a service that must end by itself (a fatal
  // error in a background loop).
  static void Request();
};

}  // namespace hone
