#include "libs/sandbox/runner/supervise.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "libs/sandbox/runner/system.h"
#include "libs/sandbox/runner/wait.h"

namespace hone::sandbox {
namespace {

// Of kill: all that this process may signal, or the program's process group.
pid_t descendants = -1;

// Kills what the program's group does not hold: without a filter it may leave the group.
void KillChildren() {
  const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  char text[4096];
  const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));
  close(fd);
  pid_t pid = 0;
  for (ssize_t i = 0; i < n; ++i) {
    if (text[i] != ' ') {
      pid = pid * 10 + (text[i] - '0');
      continue;
    }
    kill(pid, SIGKILL);
    pid = 0;
  }
}

// Kills all descendants and waits for them: being their subreaper, or the first of their namespace,
// this process gets each of them as its own child once those between are dead. No fork bomb gets
// ahead: a signal to many processes reaches the child of a fork under way, too, which a signal to
// one process after another does not. Makes system calls only, so that a signal handler may call
// it.
void KillDescendants() {
  do {
    kill(descendants, SIGKILL);
    if (descendants != -1) KillChildren();
  } while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR);
}

void OnTerminate(int) {
  KillDescendants();
  _exit(125);
}
}  // namespace

void Supervise(bool first_of_namespace, bool own_user) {
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  if (!first_of_namespace) {
    // The forker's end, or its request, must not leave descendants behind.
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    signal(SIGTERM, OnTerminate);
  }
  const pid_t program = fork();
  if (program < 0) _exit(125);
  const bool reaches_only_own = first_of_namespace || own_user;
  if (!reaches_only_own) {
    // By both, since each needs it at once. The program's filter lets nobody leave the group.
    const pid_t group = program == 0 ? getpid() : program;
    setpgid(group, group);
    descendants = -group;
  }
  if (program == 0) {
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    return;
  }
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
