#pragma once

// Runs programs that nobody trusts: each in a fresh process with limits, at the strongest isolation
// that this machine allows. Nothing of a run outlives it: no process, mount, cgroup or file.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"

namespace hone::sandbox {

// What stands between a program and the machine; each level has everything of those below it.
enum class Level {
  kLimits = 0,      // L0: resource limits and a session of its own; for development only
  kFiltered = 1,    // L1: Landlock, seccomp; needs no privilege (a "restricted" pod)
  kNamespaces = 2,  // L2: own user, mount, pid, net, ipc, uts namespaces
  kCgroups = 3,     // L3: and memory, pids accounted and killed by cgroup (v1, v2 or hybrid)
};

struct Limits {
  double cpu_seconds = 10;   // of all its processes; what decides
  double wall_seconds = 60;  // a backstop for programs that sleep
  int64_t memory_bytes = int64_t{512} << 20;
  int64_t output_bytes = int64_t{1} << 20;  // of stdout and stderr, each
  int64_t file_bytes = int64_t{64} << 20;   // of the work folder
  int processes = 1;                        // 1: it may not fork
};

struct File {
  std::string path;  // relative, no ".."; folders are made
  std::string contents;
};

enum class Language { kPython, kProgram };

// One program. Its work folder, the current one, is empty but for `files`, and the only place where
// it can write.
struct Task {
  Language language = Language::kProgram;
  std::string source;  // kPython: run as __main__ by a warm interpreter (3.11, isolated mode)
  std::vector<std::string> argv;  // kProgram: argv[0] is an absolute path or a file of `files`
  std::vector<File> files;
  std::string stdin_data;
  std::vector<std::string> outputs;  // files to bring back, where they are there
  Limits limits;
};

// How a program ended.
enum class Ending {
  kExited,
  kSignalled,
  kCpuLimit,
  kWallLimit,
  kMemoryLimit,
  kOutputLimit,
  kCancelled,  // the caller's deadline, or Session::Kill
};

struct Result {
  Ending ending = Ending::kExited;
  int exit_code = 0;  // kExited
  int signal = 0;     // kSignalled
  std::string stdout_data;
  std::string stderr_data;
  std::vector<File> outputs;
  double cpu_seconds = 0;
  double wall_seconds = 0;
  int64_t peak_memory_bytes = 0;
};

// A program with a channel to its caller: its file descriptor 3 is one end of a stream socket, this
// the other. Used by one thread. The destructor kills what still runs.
class Session {
 public:
  virtual ~Session() = default;
  // All of `data`, or the error: UNAVAILABLE when the program is gone, DEADLINE_EXCEEDED.
  virtual absl::Status Send(absl::string_view data, TimePoint deadline) = 0;
  // Some bytes, at least one, at most `most`; empty at the end. Bytes are hostile.
  virtual absl::StatusOr<std::string> Receive(size_t most, TimePoint deadline) = 0;
  virtual void Kill() = 0;
  // Waits for the end, at most until `deadline`, then kills. Once.
  virtual absl::StatusOr<Result> Wait(TimePoint deadline) = 0;
};

struct PythonModule {
  std::string name;
  std::string source;  // below 100 kB
};

struct Options {
  Level minimum = Level::kFiltered;         // Create fails below it
  Level maximum = Level::kCgroups;          // no more than this, where less is asked for
  int slots = 4;                            // programs at once
  std::vector<std::string> python_imports;  // loaded once, before any program
  std::vector<PythonModule> python_modules;  // after them; in every program as if it were installed
  std::string python = "/usr/bin/python3";  // started with the first Python task
  // Absolute paths that programs may read and run beside /usr and the libraries.
  std::vector<std::string> readable;
  std::string work_root;  // where work folders are made below L2; empty: $TMPDIR, then /tmp
};

// Thread-safe. Calls beyond the slots wait their turn. Errors are of the sandbox itself, never the
// program's doing: UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED (no slot in time),
// INVALID_ARGUMENT. Sessions must end before their sandbox.
class Sandbox {
 public:
  // FAILED_PRECONDITION, with what is missing, when `options.minimum` cannot be had.
  static absl::StatusOr<std::unique_ptr<Sandbox>> Create(const Options& options);
  virtual ~Sandbox() = default;

  virtual Level level() const = 0;
  // For people: each mechanism, and whether or why not it is used.
  virtual std::string Describe() const = 0;

  virtual absl::StatusOr<Result> Run(const Task& task, TimePoint deadline) = 0;
  virtual absl::StatusOr<std::unique_ptr<Session>> Start(const Task& task, TimePoint deadline) = 0;
};

}  // namespace hone::sandbox
