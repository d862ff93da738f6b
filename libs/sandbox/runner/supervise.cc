#include "libs/sandbox/runner/supervise.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "libs/sandbox/runner/system.h"
#include "libs/sandbox/runner/wait.h"

namespace hone::sandbox {
namespace {

constexpr int kMostProcesses = 4096;

// What KillDescendants must know in a signal handler.
bool reaches_only_own = false;

struct Processes {
  int count = 0;
  pid_t pid[kMostProcesses];
};
Processes found, before;

// Stops the processes that the file `path` (".../children") names, and adds them to `found`.
void StopChildren(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  char text[4096];
  const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));
  close(fd);
  pid_t pid = 0;
  for (ssize_t i = 0; i < n; ++i) {
    if (text[i] != ' ') {
      pid = pid * 10 + (text[i] - '0');
      continue;
    }
    if (pid > 1 && found.count < kMostProcesses) {
      kill(pid, SIGSTOP);
      found.pid[found.count++] = pid;
    }
    pid = 0;
  }
}

// The same for all threads of `pid`.
void StopChildrenOf(pid_t pid) {
  char path[128];
  std::snprintf(path, sizeof(path), "/proc/%d/task", pid);
  const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  alignas(dirent64) char entries[4096];
  ssize_t n = 0;
  while ((n = syscall(SYS_getdents64, folder, entries, sizeof(entries))) > 0) {
    for (ssize_t at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
      at += entry->d_reclen;
      if (entry->d_name[0] == '.') continue;
      std::snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", pid, entry->d_name);
      StopChildren(path);
    }
  }
  close(folder);
}

// Stops the tree of descendants. What is stopped neither forks nor makes room for others to fork,
// so that this gets ahead of a fork bomb, which killing one after another does not.
void StopDescendants() {
  for (int pass = 0; pass < 100; ++pass) {
    before.count = found.count;
    std::memcpy(before.pid, found.pid, sizeof(pid_t) * found.count);
    found.count = 0;
    StopChildren("/proc/thread-self/children");
    for (int i = 0; i < found.count; ++i) StopChildrenOf(found.pid[i]);
    // Whatever was born while the last pass looked is seen by this one.
    if (found.count == before.count &&
        std::memcmp(found.pid, before.pid, sizeof(pid_t) * found.count) == 0)
      return;
  }
}

// Kills all descendants and waits for them: being their subreaper, or the first of their namespace,
// this process gets each of them as its own child once those between are dead. Makes system calls
// only, so that a signal handler may call it.
void KillDescendants() {
  if (!reaches_only_own) StopDescendants();
  while (true) {
    if (reaches_only_own) {
      kill(-1, SIGKILL);
    } else {
      for (int i = 0; i < found.count; ++i) kill(found.pid[i], SIGKILL);
    }
    // All that are dead, waiting for the first: new children of ours may have come.
    if (waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    if (!reaches_only_own) {
      found.count = 0;
      StopChildren("/proc/thread-self/children");
    }
  }
}

void OnTerminate(int) {
  KillDescendants();
  _exit(125);
}
}  // namespace

void Supervise(bool first_of_namespace, bool own_user) {
  reaches_only_own = first_of_namespace || own_user;
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  if (!first_of_namespace) {
    // The forker's end, or its request, must not leave descendants behind.
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    signal(SIGTERM, OnTerminate);
  }
  const pid_t program = fork();
  if (program == 0) {
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    return;
  }
  if (program < 0) _exit(125);
  for (int fd = 0; fd < wire::kSlotFds; ++fd)
    if (fd != wire::kReportFd) close(fd);
  DieWithParent(first_of_namespace ? SIGKILL : SIGTERM);
  sigprocmask(SIG_SETMASK, &before, nullptr);

  int status = 0;
  rusage usage = {};
  while (true) {
    const pid_t pid = wait4(-1, &status, 0, &usage);
    if (pid == program) break;
    if (pid < 0 && errno != EINTR) _exit(125);
  }
  // The end of a namespace's first process is that of all others, but then nobody waits for them,
  // and their CPU time is lost.
  KillDescendants();
  const wire::Report report = ToReport(0, status, usage);
  WriteAll(wire::kReportFd, &report, sizeof(report));
  _exit(0);
}

}  // namespace hone::sandbox
