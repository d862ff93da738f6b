#include "services/cli/up/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/file.h"
#include "services/cli/http.h"

namespace hone::cli {

Child::~Child() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Child::Child(Child&& other) noexcept
    : plan_(std::move(other.plan_)), pid_(std::exchange(other.pid_, 0)), started_(other.started_) {}

absl::Status Child::Start() {
  const FileDescriptor log(
      open(plan_.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log.valid()) return ErrnoStatus(errno, "cannot open", plan_.log);
  const FileDescriptor nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing.valid()) return ErrnoStatus(errno, "cannot open", "/dev/null");
  std::vector<char*> argv{plan_.binary.data()};
  for (std::string& a : plan_.arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  std::vector<char*> environment;
  for (std::string& e : plan_.environment) environment.push_back(e.data());
  const auto given = [&](absl::string_view e) {
    const absl::string_view name = e.substr(0, e.find('=') + 1);
    return std::any_of(plan_.environment.begin(), plan_.environment.end(),
                       [&](const std::string& own) { return absl::StartsWith(own, name); });
  };
  for (char** e = environ; *e != nullptr; ++e)
    if (!given(*e)) environment.push_back(*e);
  environment.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "cannot start", plan_.binary);
  if (pid == 0) {
    // Only async-signal-safe calls from here on.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);  // it died before prctl
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    dup2(nothing.get(), STDIN_FILENO);
    dup2(log.get(), STDOUT_FILENO);
    dup2(log.get(), STDERR_FILENO);
    execve(argv[0], argv.data(), environment.data());
    const char why[] = "cannot execute the program\n";
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, why, sizeof why - 1);
    _exit(127);
  }
  pid_ = pid;
  started_ = SystemClock::Get().Now();
  return absl::OkStatus();
}

std::optional<std::string> Child::Reap() {
  if (pid_ == 0) return std::nullopt;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = 0;
  if (WIFSIGNALED(status))
    return absl::StrCat("signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  return absl::StrCat("exit code ", WEXITSTATUS(status));
}

void Child::Signal(int signal) const {
  if (pid_ != 0) kill(pid_, signal);
}

bool Child::Ready() const {
  if (pid_ == 0) return false;
  const auto answer = HttpGet(plan_.admin, "/readyz", std::chrono::milliseconds(200));
  return answer.ok() && answer->code == 200;
}

std::string Child::LastLines(int count) const {
  std::ifstream in(plan_.log, std::ios::binary | std::ios::ate);
  const int64_t size = in.is_open() ? static_cast<int64_t>(in.tellg()) : 0;
  in.seekg(std::max<int64_t>(0, size - (64 << 10)));
  std::deque<std::string> lines;
  std::string line;
  while (std::getline(in, line)) {
    lines.push_back(line);
    if (static_cast<int>(lines.size()) > count) lines.pop_front();
  }
  return absl::StrJoin(lines, "\n");
}

}  // namespace hone::cli
