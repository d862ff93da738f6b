#pragma once

// A child process that is spoken to through its stdin and stdout.

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"

namespace hone::lean {

struct ProcessOptions {
  std::vector<std::string> argv;  // argv[0] is a path, or a name that PATH has
  std::string directory;          // where it runs; empty: where we do
  std::vector<std::string>
      environment;           // "NAME=value"; nothing of ours is passed on but what is here
  int64_t memory_bytes = 0;  // of address space (RLIMIT_AS), for each of its processes; 0: ours
};

// The child leads a process group of its own, which the destructor kills and waits for. Used by one
// thread at a time.
class Process {
 public:
  // UNAVAILABLE when it cannot be started.
  static absl::StatusOr<std::unique_ptr<Process>> Start(const ProcessOptions& options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Writes what it can of `input`, dropping that from it, and reads what there is, at most 64 KiB a
  // call; waits until `deadline` for either. Empty: the child has closed its stdout.
  // DEADLINE_EXCEEDED when nothing came in time and `input` was not taken. A child that no longer
  // reads loses its input silently: its end shows at stdout.
  absl::StatusOr<std::string> Exchange(absl::string_view* input, TimePoint deadline);

  // Whether the child still runs. Where it does not, what it has left of its group is killed.
  bool Running();
  // Gives the child `grace` to end by itself, then kills the group and waits for it. Whether it had
  // ended by itself.
  bool End(Duration grace = Duration(0));
  // How it ended: "exit code 1", "signal 9 (Killed)". Empty while it runs.
  const std::string& ending() const { return ending_; }
  // The last 4 KiB of its stderr, as far as it has been read.
  const std::string& complaints() const { return complaints_; }

 private:
  Process() = default;
  void ReadComplaints();
  void Reap();

  pid_t pid_ = 0;  // 0: reaped
  FileDescriptor input_, output_, errors_;
  std::string ending_;
  std::string complaints_;
};

}  // namespace hone::lean
