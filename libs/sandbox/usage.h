#pragma once

// What running processes use, from /proc. Answers about processes that have ended are 0.

#include <sys/types.h>

#include <cstdint>
#include <set>

namespace hone::sandbox {

struct Usage {
  double cpu_seconds = 0;
  int64_t resident_bytes = 0;
  int processes = 0;
};

// Of one process.
Usage UsageOf(pid_t pid);

// Of `pid` and all its descendants, with the CPU time of those that it has waited for.
Usage UsageOfTree(pid_t pid);

// 0 when it has ended.
pid_t ParentOf(pid_t pid);

// How many tasks (threads) this user has on this machine, without those of the descendants of
// `roots` and their own.
int TasksOfThisUserBesides(const std::set<pid_t>& roots);

}  // namespace hone::sandbox
