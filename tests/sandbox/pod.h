#pragma once

// What a process in a restricted pod may do: nothing with privilege, as a user of its own.

#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace hone::sandbox {

[[noreturn]] inline void Fail(const std::string& what) {
  std::printf("FAILED: %s\n", what.c_str());
  std::exit(1);
}

// As a container runtime's default profile for pods that may gain no privilege.
inline void EmulatePod() {
  scmp_filter_ctx rules = seccomp_init(SCMP_ACT_ALLOW);
  for (const char* call :
       {"unshare", "setns",       "mount",          "umount2",       "pivot_root",      "chroot",
        "bpf",     "userfaultfd", "io_uring_setup", "keyctl",        "add_key",         "fsopen",
        "fsmount", "open_tree",   "move_mount",     "mount_setattr", "perf_event_open", "ptrace",
        "reboot",  "sethostname"})
    seccomp_rule_add(rules, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(call), 0);
  for (uint64_t flag : {CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC}) {
    const scmp_arg_cmp has = {0, SCMP_CMP_MASKED_EQ, flag, flag};
    seccomp_rule_add_array(rules, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &has);
  }
  seccomp_rule_add(rules, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || seccomp_load(rules) != 0)
    Fail("cannot emulate a pod");
  seccomp_release(rules);
}

inline void BecomeUser(uid_t uid) {
  if (geteuid() != 0) {
    std::printf("only root can become another user\n");
    std::exit(77);
  }
  if (setgroups(0, nullptr) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
    Fail("cannot become another user");
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // /proc/self is its own again, as after an exec
}

}  // namespace hone::sandbox
