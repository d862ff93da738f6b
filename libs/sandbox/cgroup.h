#pragma once

// Control groups of programs, in whatever this machine has: version 1 (a folder in each of the
// hierarchies of memory and pids), version 2 (one folder), or both. They are made once and used by
// one program after another. One thread at a time.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone::sandbox {

// Where groups can be made.
struct CgroupRoots {
  // Folders of this process's own groups; `unified` is version 2, with or without controllers.
  // Empty where there is none.
  std::string memory, pids, cpu, unified;
  bool memory_is_v2 = false, pids_is_v2 = false;
};

// From the texts of /proc/self/mountinfo, /proc/self/cgroup and, of version 2, cgroup.controllers.
// NOT_FOUND when there is no memory or no pids controller.
absl::StatusOr<CgroupRoots> FindCgroupRoots(const std::string& mountinfo, const std::string& cgroup,
                                            const std::string& controllers_of_unified);
absl::StatusOr<CgroupRoots> FindCgroupRoots();  // of this process

class Cgroup {
 public:
  // Makes the group `name` ("<set>/<index>"). PERMISSION_DENIED and the like where it may not.
  static absl::StatusOr<std::unique_ptr<Cgroup>> Create(const CgroupRoots& roots,
                                                        const std::string& name);
  // Removes it; all of its processes must have ended.
  ~Cgroup();

  // Moves a process in, under these limits, and starts to count.
  absl::Status Enter(pid_t pid, int64_t memory_bytes, int tasks);
  // Since Enter, of all processes. Negative: this machine does not count.
  double CpuSeconds() const;
  bool RanOutOfMemory() const;
  // SIGKILL to all, where version 2 is there.
  void Kill();

 private:
  Cgroup(const CgroupRoots& roots, const std::string& name);
  double ReadCpu() const;
  int64_t ReadOomKills() const;

  bool memory_is_v2_ = false, pids_is_v2_ = false;
  std::string memory_, pids_, cpu_, unified_;  // folders
  std::vector<std::string> folders_;           // each once
  int64_t memory_bytes_ = -1;
  int tasks_ = -1;
  double cpu_before_ = 0;
  int64_t oom_before_ = 0;
};

// Makes the folder of all groups of `set`, and gives version 2 its controllers.
absl::Status CreateCgroupSet(const CgroupRoots& roots, const std::string& set);
// With all groups that are left in it.
void RemoveCgroupSet(const CgroupRoots& roots, const std::string& set);

}  // namespace hone::sandbox
