#pragma once

// A forker process, and the slots that it prepares ahead.

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/sandbox/cgroup.h"
#include "libs/sandbox/runner/wire.h"
#include "libs/sandbox/sandbox.h"

namespace hone::sandbox {

// Threads that a program may have beside its processes, where they are counted.
inline constexpr int kThreads = 64;

// What a slot uses from outside, one slot after another.
struct Cell {
  int index = 0;
  FileDescriptor work;             // its work folder, below kNamespaces
  std::unique_ptr<Cgroup> cgroup;  // at kCgroups
};

// A process that is confined and waits for its task, or soon will.
struct Slot {
  wire::Spawn request = {};
  std::unique_ptr<Cell> cell;
  FileDescriptor task, out, err, report;
  FileDescriptor work;  // a work folder of its own, at kNamespaces
  pid_t pid = 0;        // once it is ready
  FileDescriptor process;
  int most_tasks = -1;  // of the program's user; -1: it may not fork, or has a user of many

  int work_folder() const { return work.valid() ? work.get() : cell->work.get(); }
};

// Thread-safe. Destruction kills the process, and with it all of its slots.
class Forker {
 public:
  static absl::StatusOr<std::unique_ptr<Forker>> StartRunner(const wire::Config& config);
  static absl::StatusOr<std::unique_ptr<Forker>> StartPython(const wire::Config& config,
                                                             const Options& options);
  ~Forker();

  // Asks for a slot; UNAVAILABLE when the process is gone. `slot` has `request` and `cell`.
  absl::Status Spawn(Slot& slot);
  pid_t pid() const { return pid_; }
  // Waits until `slot` is ready: then it has all of its members.
  static absl::Status AwaitReady(Slot& slot, TimePoint deadline);

 private:
  Forker(pid_t pid, FileDescriptor control) : pid_(pid), control_(std::move(control)) {}
  static absl::StatusOr<std::unique_ptr<Forker>> Exec(const wire::Config& config,
                                                      absl::string_view program,
                                                      std::vector<std::string> argv);

  const pid_t pid_;
  Mutex mu_;
  FileDescriptor control_ ABSL_GUARDED_BY(mu_);
};

// Of poll: how long until `deadline`, rounded up; -1 without one.
int MillisecondsUntil(TimePoint deadline);

// What a failed step is to a caller: INVALID_ARGUMENT where the task is at fault.
absl::Status StepError(const wire::Ready& failed);

}  // namespace hone::sandbox
