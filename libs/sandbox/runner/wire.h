#pragma once

// What the host process and its forkers say to each other, over sockets on one machine. Plain data:
// the forkers run without a C++ library.
//
//   forker --Ready--> host                once, when it can fork slots
//   host --Spawn--> forker                one slot is forked, confined, and waits
//   slot --Ready--> host                  with its pid (SCM_CREDENTIALS) and its work folder
//   host --Start--> slot                  the task in a memory file; silence (the end) means it
//   runs slot --Ready--> host                  ... or the step that failed supervisor, forker
//   --Report--> host   how the program ended; that nothing is left of it

#include <linux/filter.h>

#include <cstdint>

namespace hone::sandbox::wire {

// Descriptors of a forker.
inline constexpr int kControlFd = 3;
inline constexpr int kConfigFd = 4;
inline constexpr int kModuleFd = 5;

// Descriptors of a slot. 3 is the program's channel once it runs.
inline constexpr int kChannelFd = 3;
inline constexpr int kTaskFd = 4;
inline constexpr int kReportFd = 5;
inline constexpr int kWorkFd = 6;
inline constexpr int kSlotFds = 7;

// What a program may see besides its work folder.
struct Place {
  enum Kind : int32_t { kReadable, kDevice };  // a file or folder to read and run; a device
  Kind kind;
  char path[252];
};

// A seccomp program. Where it compares with kOwnPid, the slot writes its own pid.
struct Filter {
  int32_t length;
  sock_filter code[2048];
};
inline constexpr uint32_t kOwnPid = 0x7ffffff1;                     // above any pid
enum class FilterKind : int32_t { kPython, kProgram, kProcesses };  // no exec; no fork; both

// What all slots of a forker have in common. In a memory file at kConfigFd.
struct Config {
  int32_t namespaces;    // 1: own user, mount, pid, net, ipc, uts namespaces
  int32_t filtered;      // 1: Landlock and seccomp
  int32_t landlock_abi;  // of this kernel
  uint32_t identity;     // with namespaces: the uid and gid that the forker takes on; 0: it stays
  int32_t places;
  Place place[64];
  Filter filters[3];
};

struct Spawn {
  int32_t python;
  int32_t supervised;  // a process of its own watches over the program's descendants
  FilterKind filter;
  uint32_t uid;  // without namespaces: what the slot becomes; 0: it stays
  int64_t file_bytes;
};
// With a Spawn: the slot's ends of task, stdout, stderr, report, and, without namespaces, the work
// folder. With namespaces the slot makes its own, and it comes with Ready.
inline constexpr int kSpawnFds = 5;

enum class Step : int32_t {
  kNone,
  kIdentity,
  kUserNamespace,
  kNamespaces,
  kRoot,
  kPlaces,
  kFork,
  kWorkFolder,
  kLandlock,
  kSeccomp,
  kTask,
  kFiles,
  kLimits,
  kExec,
};

struct Ready {
  Step step;
  int32_t error;  // errno of `step`; kNone: all is well
};

struct Start {
  int64_t size;              // of the memory file: strings, each after its length (int64)
  int32_t arguments, files;  // strings: arguments; path and contents of each file; source
  int32_t python, channel;
  int64_t cpu_seconds, memory_bytes, data_bytes, stack_bytes,
      file_bytes;  // resource limits; -1: none
  int64_t open_files, processes;
};
// With a Start: the task, stdin, and the channel where there is one.

struct Report {
  int32_t gone;    // from the forker: no process is left
  int32_t status;  // as of wait
  int64_t cpu_ns;
  int64_t peak_bytes;
};

}  // namespace hone::sandbox::wire
