#include "libs/sandbox/runner/slot.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "libs/sandbox/runner/confine.h"
#include "libs/sandbox/runner/namespaces.h"
#include "libs/sandbox/runner/supervise.h"
#include "libs/sandbox/runner/system.h"

namespace hone::sandbox {
namespace {
using wire::Step;

// The sandbox could not do its part: the host hears which.
[[noreturn]] void Fail(Step step) {
  const wire::Ready failed = {step, errno};
  SendMessage(wire::kTaskFd, &failed, sizeof(failed), nullptr, 0);
  _exit(125);
}

// Reads the strings of a task.
class Strings {
 public:
  Strings(char* at, int64_t size) : at_(at), end_(at + size) {}
  Source Next() {
    int64_t size = 0;
    if (end_ - at_ < static_cast<int64_t>(sizeof(size))) Fail(Step::kTask);
    std::memcpy(&size, at_, sizeof(size));
    at_ += sizeof(size);
    if (size < 0 || end_ - at_ < size + 1) Fail(Step::kTask);
    const Source s = {at_, size};
    at_ += size + 1;  // a 0 ends each
    return s;
  }

 private:
  char* at_;
  char* end_;
};

void Limit(int resource, int64_t soft, int64_t hard) {
  if (soft < 0) return;
  rlimit now = {};
  getrlimit(static_cast<__rlimit_resource>(resource), &now);
  const auto least = [&](int64_t want) {
    return now.rlim_max < static_cast<rlim_t>(want) ? now.rlim_max : static_cast<rlim_t>(want);
  };
  const rlimit limit = {least(soft), least(hard)};
  if (setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) Fail(Step::kLimits);
}

void WriteFile(const char* path, const Source& contents) {
  char folder[4096];
  for (const char* slash = std::strchr(path, '/'); slash; slash = std::strchr(slash + 1, '/')) {
    const size_t n = slash - path;
    if (n >= sizeof(folder)) Fail(Step::kFiles);
    std::memcpy(folder, path, n);
    folder[n] = 0;
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) Fail(Step::kFiles);
  }
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
  if (fd < 0 || !WriteAll(fd, contents.data, contents.size)) Fail(Step::kFiles);
  close(fd);
}

void SetLimits(const Forker& forker, const wire::Start& start) {
  Limit(RLIMIT_CORE, 0, 0);
  // The soft limit sends SIGXCPU, which a program may ignore; the hard one kills.
  Limit(RLIMIT_CPU, start.cpu_seconds, start.cpu_seconds < 0 ? -1 : start.cpu_seconds + 1);
  const int64_t own = start.python != 0 ? forker.address_space_bytes : 0;
  const auto both = [](int resource, int64_t most) { Limit(resource, most, most); };
  both(RLIMIT_AS, start.memory_bytes < 0 ? -1 : start.memory_bytes + own);
  both(RLIMIT_DATA, start.data_bytes);
  both(RLIMIT_STACK, start.stack_bytes);
  both(RLIMIT_FSIZE, start.file_bytes);
  both(RLIMIT_NOFILE, start.open_files);
  both(RLIMIT_NPROC, start.processes);
  both(RLIMIT_MEMLOCK, 0);
  both(RLIMIT_MSGQUEUE, 0);
}

// Waits for the task and turns this process into the program.
Source RunTask(const Forker& forker) {
  wire::Start start = {};
  int fds[3] = {-1, -1, -1};
  int count = 3;
  const ssize_t n = ReceiveMessage(wire::kTaskFd, &start, sizeof(start), fds, &count);
  if (n == 0) _exit(0);  // never used
  if (n != sizeof(start) || count != 2 + start.channel) Fail(Step::kTask);
  void* task = mmap(nullptr, start.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fds[0], 0);
  if (task == MAP_FAILED) Fail(Step::kTask);
  Strings strings(static_cast<char*>(task), start.size);
  constexpr int kMostArguments = 256;
  char* argv[kMostArguments + 1] = {};
  if (start.arguments > kMostArguments) Fail(Step::kTask);
  for (int i = 0; i < start.arguments; ++i) argv[i] = const_cast<char*>(strings.Next().data);
  for (int i = 0; i < start.files; ++i) {
    const char* path = strings.Next().data;
    WriteFile(path, strings.Next());
  }
  const Source source = strings.Next();

  dup2(fds[1], STDIN_FILENO);
  if (start.channel != 0) {
    dup2(fds[2], wire::kChannelFd);
  } else {
    close(wire::kChannelFd);
  }
  for (int i = 0; i < count; ++i) close(fds[i]);
  close(wire::kWorkFd);
  SetLimits(forker, start);
  if (start.python != 0) {
    close(wire::kTaskFd);  // the host sees that the program runs
    return source;
  }
  fcntl(wire::kTaskFd, F_SETFD, FD_CLOEXEC);
  char folder[512] = "";
  char home[600];
  char temporary[600];
  if (getcwd(folder, sizeof(folder)) == nullptr) Fail(Step::kExec);
  std::snprintf(home, sizeof(home), "HOME=%s", folder);
  std::snprintf(temporary, sizeof(temporary), "TMPDIR=%s", folder);
  char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
  char language[] = "LANG=C.UTF-8";
  char* environment[] = {path, language, home, temporary, nullptr};
  execve(argv[0], argv, environment);
  Fail(Step::kExec);
}
}  // namespace

Source RunSlot(const Forker& forker, const wire::Spawn& spawn, const int* fds) {
  const wire::Config& config = *forker.config;
  const bool run = spawn.filter != wire::FilterKind::kPython;
  const int devnull = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int own[wire::kSlotFds] = {devnull, fds[1], fds[2], devnull, fds[0], fds[3], fds[4]};
  ArrangeDescriptors(own, wire::kSlotFds);
  setsid();
  umask(022);
  if (config.namespaces != 0) {
    const int work = MountWorkFolder(spawn.file_bytes, run);
    if (work < 0) Fail(Step::kWorkFolder);
    // The lowest free number, or this one: the forker gave no folder.
    if (work != wire::kWorkFd && (dup2(work, wire::kWorkFd) < 0 || close(work) != 0))
      Fail(Step::kWorkFolder);
  } else if (spawn.uid != 0) {
    if (fchown(wire::kWorkFd, spawn.uid, spawn.uid) != 0 || !TakeIdentity(spawn.uid, false))
      Fail(Step::kIdentity);
  }
  if (fchdir(wire::kWorkFd) != 0) Fail(Step::kWorkFolder);
  if (!DropPrivileges()) Fail(Step::kIdentity);
  if (spawn.supervised != 0) Supervise(config.namespaces != 0, spawn.uid != 0);
  close(wire::kReportFd);
  DieWithParent(SIGKILL);
  signal(SIGPIPE, SIG_DFL);
  if (config.filtered != 0) {
    if (!RestrictFiles(config, wire::kWorkFd, run)) Fail(Step::kLandlock);
    if (!RestrictCalls(config.filters[static_cast<int>(spawn.filter)])) Fail(Step::kSeccomp);
  }

  const wire::Ready ready = {};
  const int work = wire::kWorkFd;
  if (!SendMessage(wire::kTaskFd, &ready, sizeof(ready), &work, config.namespaces != 0 ? 1 : 0))
    _exit(125);
  return RunTask(forker);
}

}  // namespace hone::sandbox
