#include "libs/sandbox/runner/supervise.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "libs/sandbox/runner/system.h"
#include "libs/sandbox/runner/wait.h"

namespace hone::sandbox {
namespace {

// Kills all descendants: being their subreaper, this process gets each of them as its own child
// once those between are dead. Makes system calls only, so that a signal handler may call it.
void KillDescendants() {
  while (true) {
    const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    char text[4096];
    const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    close(fd);
    pid_t pid = 0;
    for (ssize_t i = 0; i < n; ++i) {
      if (text[i] != ' ') {
        pid = pid * 10 + (text[i] - '0');
      } else {
        if (pid > 1) kill(pid, SIGKILL);
        pid = 0;
      }
    }
    // All that are dead, waiting for the first: new children of ours may have come.
    if (waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

void OnTerminate(int) {
  KillDescendants();
  _exit(125);
}
}  // namespace

void Supervise(bool first_of_namespace) {
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
  if (!first_of_namespace) KillDescendants();
  const wire::Report report = ToReport(0, status, usage);
  WriteAll(wire::kReportFd, &report, sizeof(report));
  _exit(0);
}

}  // namespace hone::sandbox
