#include "libs/sandbox/runner/supervise.h"

#include <dirent.h>
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

// The children of this process, orphans of the program among them: being their subreaper, it is
// where every descendant ends up once those between are dead.
int KillChildren() {
  int killed = 0;
  const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[8192];
  ssize_t n = 0;
  while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
    text[n] = 0;
    for (char* at = text; *at != 0;) {
      const pid_t pid = static_cast<pid_t>(std::strtol(at, &at, 10));
      if (pid > 1 && kill(pid, SIGKILL) == 0) ++killed;
      while (*at == ' ') ++at;
    }
  }
  close(fd);
  return killed;
}
}  // namespace

void Supervise() {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const pid_t program = fork();
  if (program == 0) return;
  if (program < 0) _exit(125);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  for (int fd = 0; fd < wire::kSlotFds; ++fd)
    if (fd != wire::kReportFd) close(fd);
  int status = 0;
  rusage usage = {};
  while (true) {
    const pid_t pid = wait4(-1, &status, 0, &usage);
    if (pid == program) break;
    if (pid < 0 && errno != EINTR) _exit(125);
  }
  // Until there is none: those that are killed here leave their own children to this process.
  while (true) {
    KillChildren();
    const pid_t pid = waitpid(-1, nullptr, 0);
    if (pid < 0 && errno == ECHILD) break;
  }
  rusage all = {};
  getrusage(RUSAGE_CHILDREN, &all);
  const wire::Report report = ToReport(0, status, all);
  WriteAll(wire::kReportFd, &report, sizeof(report));
  _exit(0);
}

}  // namespace hone::sandbox
