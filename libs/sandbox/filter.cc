#include "libs/sandbox/filter.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace hone::sandbox {
namespace {

// Whatever the arguments: they reach the process itself, its memory, its descriptors, and files
// that Landlock or the mounts decide about.
constexpr const char* kAllowed[] = {
    // files
    "access",
    "chdir",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchown",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getcwd",
    "getdents",
    "getdents64",
    "link",
    "linkat",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "newfstatat",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync_file_range",
    "tee",
    "umask",
    "unlink",
    "unlinkat",
    "vmsplice",
    "write",
    "writev",
    // waiting, pipes, connected pairs of sockets
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "getpeername",
    "getsockname",
    "getsockopt",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "select",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "signalfd",
    "signalfd4",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    // memory
    "brk",
    "get_mempolicy",
    "madvise",
    "membarrier",
    "mincore",
    "mlock",
    "mlock2",
    "mmap",
    "mprotect",
    "mremap",
    "msync",
    "munlock",
    "munmap",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    // threads, signals, time
    "alarm",
    "arch_prctl",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "futex",
    "get_robust_list",
    "getcpu",
    "getitimer",
    "gettid",
    "gettimeofday",
    "nanosleep",
    "pause",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "sched_getaffinity",
    "sched_getparam",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "setitimer",
    "sigaltstack",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    // the process
    "capget",
    "exit",
    "exit_group",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "getuid",
    "setrlimit",
    "sysinfo",
    "times",
    "uname",
    "wait4",
    "waitid",
};

// A change of a file by its path, which Landlock does not see.
constexpr const char* kByPath[] = {"chmod",     "fchmodat",  "utime",   "utimes",
                                   "utimensat", "futimesat", "truncate"};

constexpr const char* kProcessCalls[] = {"fork", "vfork"};
// Out of the process group by which a supervisor kills.
constexpr const char* kGroupCalls[] = {"setpgid", "setsid"};
constexpr const char* kExecCalls[] = {"execve", "execveat"};
// The C library tries these first.
constexpr const char* kNotThere[] = {"clone3",
                                     "openat2",
                                     "fchmodat2",
                                     "futex_waitv",
                                     "map_shadow_stack",
                                     "process_mrelease",
                                     "set_mempolicy_home_node"};

constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | 0x80 /* time */;

class Rules {
 public:
  Rules() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM))) {}
  ~Rules() { seccomp_release(context_); }

  // The first error is kept; `call` may be unknown to an old libseccomp or this architecture.
  template <typename... Conditions>
  void Add(uint32_t action, const char* call, Conditions... conditions) {
    const int number = seccomp_syscall_resolve_name(call);
    if (number < 0) return;
    const scmp_arg_cmp all[] = {conditions..., {}};
    const int error = seccomp_rule_add_array(context_, action, number, sizeof...(conditions), all);
    if (error != 0 && status_.ok()) status_ = ErrnoStatus(-error, "cannot filter", call);
  }
  template <typename... Conditions>
  void Allow(const char* call, Conditions... conditions) {
    Add(SCMP_ACT_ALLOW, call, conditions...);
  }

  absl::Status Export(wire::Filter& filter) {
    HONE_RETURN_IF_ERROR(status_);
    // A tree: the kernel walks it for every number when a filter is installed.
    seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    FileDescriptor file(memfd_create("filter", MFD_CLOEXEC));
    int error = seccomp_export_bpf(context_, file.get());
    if (error != 0) return ErrnoStatus(-error, "cannot make", "a seccomp filter");
    const ssize_t n = pread(file.get(), filter.code, sizeof(filter.code), 0);
    if (n <= 0 || n == sizeof(filter.code))
      return absl::FailedPreconditionError(absl::StrCat("a seccomp filter of ", n, " bytes"));
    filter.length = static_cast<int32_t>(n / sizeof(sock_filter));
    return absl::OkStatus();
  }

 private:
  scmp_filter_ctx context_;
  absl::Status status_;
};

scmp_arg_cmp Masked(unsigned argument, uint64_t mask, uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}
// An int or pid_t argument: the upper half of the register is not looked at.
scmp_arg_cmp IsInt(unsigned argument, uint32_t value) {
  return Masked(argument, 0xffffffff, value);
}

void AddProcesses(const FilterOptions& options, Rules& rules) {
  const bool processes = options.kind == wire::FilterKind::kProcesses;
  if (processes) {
    rules.Allow("clone", Masked(0, kNamespaceFlags, 0));
    for (const char* call : kProcessCalls) rules.Allow(call);
    if (!options.shared_identity)
      for (const char* call : kGroupCalls) rules.Allow(call);
  } else {
    constexpr uint64_t kThread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
    rules.Allow("clone", Masked(0, kThread | kNamespaceFlags, kThread));
  }
  if (options.kind != wire::FilterKind::kPython)
    for (const char* call : kExecCalls) rules.Allow(call);

  for (const char* call : {"kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"}) {
    if (processes && options.signals_confined) {
      rules.Allow(call);
    } else {
      rules.Allow(call, IsInt(0, wire::kOwnPid));
    }
  }
  // About itself only: a pid would reach others of the same uid.
  rules.Allow("prlimit64", IsInt(0, 0));
  rules.Allow("sched_setaffinity", IsInt(0, 0));
  rules.Allow("sched_setscheduler", IsInt(0, 0));
  rules.Allow("setpriority", IsInt(0, PRIO_PROCESS), IsInt(1, 0));
  for (int option :
       {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_PDEATHSIG, PR_CAPBSET_READ,
        PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_GET_TIMERSLACK, 0x53564d41 /* names of memory */})
    rules.Allow("prctl", IsInt(0, option));
  rules.Allow("personality", IsInt(0, 0xffffffff));
}

void AddFiles(const FilterOptions& options, Rules& rules) {
  // Emptying a file by opening it to read is a write that Landlock sees only from its third ABI on.
  constexpr uint64_t kMask = O_TRUNC | O_ACCMODE;
  for (const auto& [call, flags] : {std::pair("open", 1U), std::pair("openat", 2U)}) {
    rules.Allow(call, Masked(flags, O_TRUNC, 0));
    rules.Allow(call, Masked(flags, kMask, O_TRUNC | O_WRONLY));
    rules.Allow(call, Masked(flags, kMask, O_TRUNC | O_RDWR));
  }
  if (!options.shared_identity)
    for (const char* call : kByPath) rules.Allow(call);
  // No F_SETOWN: a descriptor's owner gets signals, whoever that is.
  for (int command : {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK,
                      F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETPIPE_SZ,
                      F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS})
    rules.Allow("fcntl", IsInt(1, command));
  // Nothing that types into a terminal or talks to a device.
  for (uint64_t request : {FIOCLEX, FIONCLEX, FIONBIO, FIONREAD, TCGETS, TIOCGWINSZ, TIOCGPGRP})
    rules.Allow("ioctl", IsInt(1, request));
  // Stream pairs only: a datagram socket sends to any address.
  rules.Allow("socketpair", IsInt(0, AF_UNIX), Masked(1, 0xf, SOCK_STREAM));
}
}  // namespace

absl::Status MakeFilter(const FilterOptions& options, wire::Filter& filter) {
  Rules rules;
  for (const char* call : kAllowed) rules.Allow(call);
  for (const char* call : kNotThere) rules.Add(SCMP_ACT_ERRNO(ENOSYS), call);
  AddProcesses(options, rules);
  AddFiles(options, rules);
  return rules.Export(filter);
}

}  // namespace hone::sandbox
