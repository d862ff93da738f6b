#include "libs/sandbox/forker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/sandbox/embedded.h"
#include "libs/sandbox/memory_file.h"
#include "libs/sandbox/runner/system.h"

namespace hone::sandbox {
namespace {

// Python with seventeen imports takes 40 ms here; a loaded machine takes its time.
constexpr Duration kStartTime = std::chrono::seconds(60);

// As the forker sees it.
std::string ModulePath() {
  return absl::StrCat("/proc/self/fd/", wire::kModuleFd);
}

absl::Status Pair(int type, FileDescriptor& host, FileDescriptor& slot) {
  int fds[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0)
    return ErrnoStatus(errno, "cannot create", "a pair of sockets");
  host = FileDescriptor(fds[0]);
  slot = FileDescriptor(fds[1]);
  return absl::OkStatus();
}

absl::Status Pipe(FileDescriptor& host, FileDescriptor& slot) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot create", "a pipe");
  host = FileDescriptor(fds[0]);
  slot = FileDescriptor(fds[1]);
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return absl::OkStatus();
}
}  // namespace

int MillisecondsUntil(TimePoint deadline) {
  if (deadline == kNoDeadline) return -1;
  const Duration left = deadline - SystemClock::Get().Now();
  if (left <= Duration::zero()) return 0;
  const int64_t ms = (left.count() + 999'999) / 1'000'000;
  return static_cast<int>(std::min<int64_t>(ms, 1'000'000));
}

absl::Status StepError(const wire::Ready& failed) {
  static constexpr const char* kNames[] = {
      "",
      "take on another uid and gid",
      "create a user namespace",
      "create mount, net, ipc and uts namespaces",
      "set up a root file system",
      "show what programs may read in the root file system",
      "fork into pid and mount namespaces",
      "set up a work folder",
      "restrict files by Landlock",
      "restrict system calls by seccomp",
      "read a task",
      "write the files of the task",
      "set resource limits",
      "run argv[0] of the task",
  };
  const auto step = static_cast<size_t>(failed.step);
  const std::string what = absl::StrCat("cannot ", step < std::size(kNames) ? kNames[step] : "?",
                                        ": ", std::strerror(failed.error));
  if (failed.step == wire::Step::kFiles || failed.step == wire::Step::kExec)
    return absl::InvalidArgumentError(what);
  return absl::UnavailableError(what);
}

absl::StatusOr<std::unique_ptr<Forker>> Forker::StartRunner(const wire::Config& config) {
  return Exec(config, RunnerProgram(), {"hone-sandbox-runner"});
}

absl::StatusOr<std::unique_ptr<Forker>> Forker::StartPython(const wire::Config& config,
                                                            const Options& options) {
  // -I would ignore PYTHONHASHSEED, which makes sets come out in the same order in every run; the
  // environment has nothing else, so that -P -s -S isolate as much.
  std::vector<std::string> argv = {
      options.python, "-P", "-s", "-S", "-B", "-c", std::string(ZygoteScript()), ModulePath()};
  argv.insert(argv.end(), options.python_imports.begin(), options.python_imports.end());
  for (const PythonModule& m : options.python_modules)
    argv.push_back(absl::StrCat(m.name, "\n", m.source));
  return Exec(config, ZygoteModule(), std::move(argv));
}

absl::StatusOr<std::unique_ptr<Forker>> Forker::Exec(const wire::Config& config,
                                                     absl::string_view program,
                                                     std::vector<std::string> argv) {
  HONE_ASSIGN_OR_RETURN(
      const FileDescriptor settings,
      MemoryFile("hone-sandbox", {reinterpret_cast<const char*>(&config), sizeof(config)}));
  HONE_ASSIGN_OR_RETURN(const FileDescriptor code, MemoryFile("hone-sandbox", program));
  FileDescriptor control, end;
  HONE_RETURN_IF_ERROR(Pair(SOCK_SEQPACKET, control, end));

  // Copies above all targets, so that no dup2 overwrites what a later one needs.
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  std::vector<FileDescriptor> copies;
  const auto give = [&](int fd, int target) {
    copies.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 16));
    posix_spawn_file_actions_adddup2(&actions, copies.back().get(), target);
  };
  give(end.get(), wire::kControlFd);
  give(settings.get(), wire::kConfigFd);
  give(code.get(), wire::kModuleFd);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const bool python = argv[0][0] == '/';
  const std::string path = python ? argv[0] : ModulePath();
  std::vector<char*> arguments;
  for (std::string& a : argv) arguments.push_back(a.data());
  arguments.push_back(nullptr);
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "PYTHONHASHSEED=0",
                                          "HOME=/nonexistent"};
  if (python) environment.push_back(absl::StrCat("LD_PRELOAD=", ModulePath()));
  std::vector<char*> variables;
  for (std::string& v : environment) variables.push_back(v.data());
  variables.push_back(nullptr);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments.data(), variables.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus(error, "cannot start", argv[0]);
  end.Close();
  copies.clear();  // so that the end of the process is seen

  std::unique_ptr<Forker> forker(new Forker(pid, std::move(control)));
  MutexLock lock(forker->mu_);
  pollfd answer = {forker->control_.get(), POLLIN, 0};
  poll(&answer, 1, MillisecondsUntil(SystemClock::Get().Now() + kStartTime));
  wire::Ready ready = {};
  if (recv(forker->control_.get(), &ready, sizeof(ready), MSG_DONTWAIT) != sizeof(ready))
    return absl::UnavailableError(absl::StrCat(argv[0], " did not start as a forker of slots"));
  if (ready.step != wire::Step::kNone) return StepError(ready);
  return forker;
}

Forker::~Forker() {
  MutexLock lock(mu_);
  control_.Close();  // it kills its slots, then ends
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

absl::Status Forker::Spawn(Slot& slot) {
  FileDescriptor task, out, err, report;
  HONE_RETURN_IF_ERROR(Pair(SOCK_SEQPACKET, slot.task, task));
  HONE_RETURN_IF_ERROR(Pipe(slot.out, out));
  HONE_RETURN_IF_ERROR(Pipe(slot.err, err));
  HONE_RETURN_IF_ERROR(Pipe(slot.report, report));
  const int on = 1;
  setsockopt(slot.task.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
  const int work = slot.cell->work.get();
  const int fds[wire::kSpawnFds] = {task.get(), out.get(), err.get(), report.get(), work};
  const int count = work >= 0 ? wire::kSpawnFds : wire::kSpawnFds - 1;
  MutexLock lock(mu_);
  if (!SendMessage(control_.get(), &slot.request, sizeof(slot.request), fds, count))
    return absl::UnavailableError("the forker of slots is gone");
  return absl::OkStatus();
}

absl::Status Forker::AwaitReady(Slot& slot, TimePoint deadline) {
  pollfd answer = {slot.task.get(), POLLIN, 0};
  while (poll(&answer, 1, MillisecondsUntil(deadline)) < 0 && errno == EINTR) {
  }
  if (answer.revents == 0) return absl::DeadlineExceededError("no slot was ready in time");
  wire::Ready ready = {};
  int fds[1];
  int count = 1;
  const ssize_t n = ReceiveMessage(slot.task.get(), &ready, sizeof(ready), fds, &count, &slot.pid);
  if (count == 1) slot.work = FileDescriptor(fds[0]);
  if (n != sizeof(ready)) return absl::UnavailableError("the forker of slots could not fork");
  if (ready.step != wire::Step::kNone) return StepError(ready);
  slot.process = FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, slot.pid, 0)));
  if (!slot.process.valid()) return absl::UnavailableError("a slot died before its task");
  return absl::OkStatus();
}

}  // namespace hone::sandbox
