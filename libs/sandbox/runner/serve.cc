#include "libs/sandbox/runner/serve.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "libs/sandbox/runner/namespaces.h"
#include "libs/sandbox/runner/system.h"
#include "libs/sandbox/runner/wait.h"

namespace hone::sandbox {
namespace {
constexpr int kMostSlots = 1024;

struct Slot {
  pid_t pid;
  int report;
  bool supervised;
};

// The slots that live, and what poll waits for: entry 0 is the control socket, entry i + 1 slot i.
int count = 0;
Slot slots[kMostSlots];
pollfd polled[kMostSlots + 1];

[[noreturn]] void End(bool namespaces) {
  for (int i = 0; i < count; ++i) {
    // Who supervises cleans up first; who does not dies of what it was told to die of.
    kill(slots[i].pid, slots[i].supervised && !namespaces ? SIGTERM : SIGKILL);
  }
  for (int i = 0; i < count; ++i) waitpid(slots[i].pid, nullptr, 0);
  _exit(0);
}

void Reap(int i) {
  int status = 0;
  rusage usage = {};
  if (wait4(slots[i].pid, &status, 0, &usage) < 0) _exit(125);
  const wire::Report report = ToReport(1, status, usage);
  WriteAll(slots[i].report, &report, sizeof(report));
  close(slots[i].report);
  close(polled[i + 1].fd);
  --count;
  slots[i] = slots[count];
  polled[i + 1] = polled[count + 1];
}

int64_t AddressSpaceBytes() {
  char text[64] = {};
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0) _exit(125);
  close(fd);
  return std::strtoll(text, nullptr, 10) * sysconf(_SC_PAGESIZE);
}
}  // namespace

Source Serve() {
  signal(SIGPIPE, SIG_IGN);
  Forker forker;
  void* config = mmap(nullptr, sizeof(wire::Config), PROT_READ, MAP_SHARED, wire::kConfigFd, 0);
  if (config == MAP_FAILED) _exit(125);
  forker.config = static_cast<const wire::Config*>(config);
  const bool namespaces = forker.config->namespaces != 0;
  syscall(SYS_close_range, wire::kConfigFd, ~0U, 0);
  forker.address_space_bytes = AddressSpaceBytes();

  wire::Ready ready = {};
  const int proc = namespaces ? open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  if (namespaces) ready.step = EnterNamespaces(*forker.config, proc);
  if (ready.step != wire::Step::kNone) ready.error = errno;
  if (!SendMessage(wire::kControlFd, &ready, sizeof(ready), nullptr, 0)) _exit(125);
  polled[0] = {wire::kControlFd, POLLIN, 0};
  while (true) {
    if (poll(polled, count + 1, -1) < 0 && errno != EINTR) _exit(125);
    for (int i = count - 1; i >= 0; --i)
      if (polled[i + 1].revents != 0) Reap(i);
    if (polled[0].revents == 0) continue;

    wire::Spawn spawn = {};
    int fds[wire::kSpawnFds] = {-1, -1, -1, -1, -1};
    int received = wire::kSpawnFds;
    const ssize_t n = ReceiveMessage(wire::kControlFd, &spawn, sizeof(spawn), fds, &received);
    if (n != sizeof(spawn) || received < wire::kSpawnFds - 1 || count == kMostSlots)
      End(namespaces);
    const pid_t pid = namespaces ? ForkIntoNamespaces(proc) : fork();
    if (pid == 0) return RunSlot(forker, spawn, fds);
    constexpr int kReport = 3;  // of the descriptors of a Spawn
    for (int i = 0; i < received; ++i)
      if (i != kReport) close(fds[i]);
    if (pid < 0) {
      close(fds[kReport]);  // the host sees that nothing came of it
      continue;
    }
    slots[count] = {pid, fds[kReport], spawn.supervised != 0};
    polled[count + 1] = {static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), POLLIN, 0};
    ++count;
  }
}

}  // namespace hone::sandbox
