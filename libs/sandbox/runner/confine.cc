#include "libs/sandbox/runner/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hone::sandbox {
namespace {

bool SetCapabilities(uint32_t low, uint32_t high) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct data[2] = {{low, low, 0}, {high, high, 0}};
  return syscall(SYS_capset, &header, data) == 0;
}

// The distribution's headers may be older than the kernel: what came after the first Landlock.
struct Ruleset {
  uint64_t files;
  uint64_t network;  // since 4
  uint64_t scoped;   // since 6
};
constexpr uint64_t kRefer = 1 << 13;        // since 2
constexpr uint64_t kTruncate = 1 << 14;     // since 3
constexpr uint64_t kDeviceIoctl = 1 << 15;  // since 5
constexpr uint64_t kNetwork = 0b11;         // bind and connect TCP
constexpr uint64_t kScopes = 0b11;          // abstract Unix sockets, signals
constexpr uint32_t kLogNothing = 1;         // since 7

constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kWrite = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                            LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                            LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | kRefer |
                            kTruncate;
constexpr uint64_t kFirst = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;  // all rights of the first ABI

uint64_t AllRights(int abi) {
  return kFirst | (abi >= 2 ? kRefer : 0) | (abi >= 3 ? kTruncate : 0) |
         (abi >= 5 ? kDeviceIoctl : 0);
}

bool Allow(int ruleset, int file, uint64_t rights) {
  const landlock_path_beneath_attr rule = {rights, file};
  return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}
}  // namespace

bool DropPrivileges() {
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && SetCapabilities(0, 0);
}

bool TakeIdentity(uint32_t id, bool keep) {
  if (keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return false;
  // The system calls themselves: this process has one thread, and may be a statically linked one.
  if (syscall(SYS_setgroups, 0, nullptr) != 0 || syscall(SYS_setresgid, id, id, id) != 0 ||
      syscall(SYS_setresuid, id, id, id) != 0)
    return false;
  if (!keep) return true;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct has[2] = {};
  if (syscall(SYS_capget, &header, has) != 0) return false;
  // Its files in /proc, uid_map among them, are its own again.
  return SetCapabilities(has[0].permitted, has[1].permitted) &&
         prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

bool RestrictFiles(const wire::Config& config, int work, bool run) {
  const int abi = config.landlock_abi;
  const uint64_t all = AllRights(abi);
  const Ruleset rules = {all, kNetwork, kScopes};
  const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const int ruleset = static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, size, 0));
  if (ruleset < 0) return false;
  const uint64_t execute = LANDLOCK_ACCESS_FS_EXECUTE;
  bool ok = Allow(ruleset, work, all & (kRead | kWrite | (run ? execute : 0)));
  for (int i = 0; ok && i < config.places; ++i) {
    const wire::Place& place = config.place[i];
    const int file = open(place.path, O_PATH | O_CLOEXEC);
    if (file < 0) continue;
    struct stat found = {};
    fstat(file, &found);
    uint64_t rights = LANDLOCK_ACCESS_FS_READ_FILE;
    if (place.kind == wire::Place::kDevice) {
      rights |= LANDLOCK_ACCESS_FS_WRITE_FILE;
    } else {
      rights |= execute | (S_ISDIR(found.st_mode) ? LANDLOCK_ACCESS_FS_READ_DIR : 0);
    }
    ok = Allow(ruleset, file, rights);
    close(file);
  }
  ok = ok && syscall(SYS_landlock_restrict_self, ruleset, abi >= 7 ? kLogNothing : 0) == 0;
  const int error = errno;
  close(ruleset);
  errno = error;
  return ok;
}

bool RestrictCalls(const wire::Filter& filter) {
  wire::Filter own;
  std::memcpy(own.code, filter.code, filter.length * sizeof(sock_filter));
  const uint32_t pid = getpid();
  for (int i = 0; i < filter.length; ++i)
    if (own.code[i].k == wire::kOwnPid) own.code[i].k = pid;
  sock_fprog program = {static_cast<unsigned short>(filter.length), own.code};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

}  // namespace hone::sandbox
