#pragma once

// One service as a child process.

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"

namespace hone::cli {

struct ServicePlan {
  std::string name;  // "rollout-0"
  std::string binary;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // "NAME=value": over this process' environment
  std::string listen;                    // host:port of its gRPC services
  std::string admin;                     // host:port of its probes and metrics
  std::string log;                       // file that its stdout and stderr are appended to
};

// Not thread-safe. Start from the main thread: the kernel kills the child when the thread that
// started it ends.
class Child {
 public:
  explicit Child(ServicePlan plan) : plan_(std::move(plan)) {}
  // Kills and reaps what still runs.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  const ServicePlan& plan() const { return plan_; }
  // 0 when it does not run.
  pid_t pid() const { return pid_; }
  TimePoint started() const { return started_; }

  // Starts the program in a process group of its own, so that a terminal's Ctrl-C reaches only the
  // parent, which stops its children in order. The child is killed when the parent dies.
  absl::Status Start();
  // How it ended ("exit code 1", "signal 9 (Killed)"), once; nullopt while it runs.
  std::optional<std::string> Reap();
  void Signal(int signal) const;
  // Whether its /readyz answers 200. Takes up to 200 ms.
  bool Ready() const;
  // The end of the log.
  std::string LastLines(int count) const;

 private:
  ServicePlan plan_;
  pid_t pid_ = 0;
  TimePoint started_;
};

}  // namespace hone::cli
