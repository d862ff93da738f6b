#include "libs/reward/lean/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace hone::lean {
namespace {

constexpr size_t kComplaintBytes = 4096;

// poll's time-out in milliseconds, rounded up.
int Milliseconds(TimePoint deadline) {
  if (deadline == kNoDeadline) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - SystemClock::Get().Now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> Process::Start(const ProcessOptions& options) {
  HONE_CHECK(!options.argv.empty()) << "no program";
  const auto failed = [&](int error, absl::string_view action) {
    return absl::UnavailableError(
        absl::StrCat(action, " ", options.argv[0], ": ", std::strerror(error)));
  };
  // A socket, not a pipe: writing to a child that is gone must not raise SIGPIPE.
  int in[2], out[2], err[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0)
    return failed(errno, "cannot make a channel for");
  FileDescriptor in_ours(in[0]), in_theirs(in[1]);
  if (pipe2(out, O_CLOEXEC) != 0) return failed(errno, "cannot make a channel for");
  FileDescriptor out_ours(out[0]), out_theirs(out[1]);
  if (pipe2(err, O_CLOEXEC) != 0) return failed(errno, "cannot make a channel for");
  FileDescriptor err_ours(err[0]), err_theirs(err[1]);
  for (const FileDescriptor* fd : {&in_ours, &out_ours, &err_ours})
    fcntl(fd->get(), F_SETFL, O_NONBLOCK);

  // A shell sets the limits before the program starts, so that no child of it can slip through.
  std::vector<std::string> argv{"/bin/sh", "-c",
                                "ulimit -c 0; [ \"$0\" = 0 ] || ulimit -v \"$0\"; exec \"$@\"",
                                absl::StrCat(options.memory_bytes / 1024)};
  argv.insert(argv.end(), options.argv.begin(), options.argv.end());
  std::vector<std::string> environment = options.environment;
  const std::vector<char*> args = Pointers(argv), env = Pointers(environment);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, in_theirs.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out_theirs.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err_theirs.get(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  if (!options.directory.empty())
    posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str());
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  auto process = std::unique_ptr<Process>(new Process);
  const int error =
      posix_spawn(&process->pid_, argv[0].c_str(), &actions, &attributes, args.data(), env.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    process->pid_ = 0;
    return failed(error, "cannot start");
  }
  process->input_ = std::move(in_ours);
  process->output_ = std::move(out_ours);
  process->errors_ = std::move(err_ours);
  return process;
}

Process::~Process() {
  End();
}

absl::StatusOr<std::string> Process::Exchange(absl::string_view* input, TimePoint deadline) {
  constexpr size_t kMost = 64 << 10;
  while (true) {
    pollfd fds[3] = {{output_.get(), POLLIN, 0},
                     {errors_.get(), POLLIN, 0},  // -1 once it is closed: ignored
                     {input->empty() ? -1 : input_.get(), POLLOUT, 0}};
    const int ready = poll(fds, 3, Milliseconds(deadline));
    if (ready < 0 && errno != EINTR)
      return ErrnoStatus(errno, "cannot wait for", "a child process");
    if (ready == 0)
      return absl::DeadlineExceededError(input->empty() ? "no reply in time"
                                                        : "the command was not read in time");
    if (ready < 0) continue;
    if (fds[1].revents != 0) ReadComplaints();
    if (fds[2].revents != 0) {
      const ssize_t n = send(input_.get(), input->data(), input->size(), MSG_NOSIGNAL);
      if (n > 0) {
        input->remove_prefix(static_cast<size_t>(n));
      } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        *input = absl::string_view();  // it does not read any more
      }
    }
    if (fds[0].revents != 0) {
      std::string bytes(kMost, '\0');
      const ssize_t n = read(output_.get(), bytes.data(), bytes.size());
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
      return bytes;
    }
  }
}

void Process::ReadComplaints() {
  char buffer[4096];
  ssize_t n = 1;
  for (int i = 0; i < 16 && n > 0; ++i) {  // not for as long as somebody writes
    n = read(errors_.get(), buffer, sizeof buffer);
    if (n > 0) complaints_.append(buffer, static_cast<size_t>(n));
  }
  if (complaints_.size() > kComplaintBytes)
    complaints_.erase(0, complaints_.size() - kComplaintBytes);
  if (n == 0) errors_.Close();
}

// The group is killed while its leader is a zombie: until it is reaped nobody else gets its number.
void Process::Reap() {
  kill(-pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  ending_ = WIFSIGNALED(status)
                ? absl::StrCat("signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")")
                : absl::StrCat("exit code ", WEXITSTATUS(status));
  if (errors_.valid()) ReadComplaints();
}

bool Process::Running() {
  siginfo_t info{};
  if (pid_ != 0 &&
      waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid == pid_)
    Reap();
  return pid_ != 0;
}

bool Process::End(Duration grace) {
  const TimePoint until = SystemClock::Get().Now() + grace;
  while (Running() && SystemClock::Get().Now() < until)
    SystemClock::Get().SleepFor(std::chrono::milliseconds(2));
  if (pid_ == 0) return true;
  kill(pid_, SIGKILL);  // it may not have become the leader of its group yet
  Reap();
  return false;
}

}  // namespace hone::lean
