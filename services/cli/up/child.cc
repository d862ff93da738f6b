#include "services/cli/up/child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/file.h"

namespace hone::cli {
namespace {

// IPv4 host:port; services started here listen on the loopback.
bool ToAddress(const std::string& address, sockaddr_in* out) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port))
    return false;
  *out = {};
  out->sin_family = AF_INET;
  out->sin_port = htons(static_cast<uint16_t>(port));
  return inet_pton(AF_INET, address.substr(0, colon).c_str(), &out->sin_addr) == 1;
}

// The status code of GET `path`, or 0.
int HttpGet(const std::string& address, const std::string& path) {
  sockaddr_in to;
  if (!ToAddress(address, &to)) return 0;
  const FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return 0;
  const timeval limit{.tv_sec = 0, .tv_usec = 200'000};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return 0;
  const std::string request =
      absl::StrCat("GET ", path, " HTTP/1.0\r\nHost: ", address, "\r\nConnection: close\r\n\r\n");
  if (send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    return 0;
  // "HTTP/1.1 200 OK": the first twelve bytes are all that matters.
  std::string answer;
  char buffer[64];
  while (answer.size() < 12) {
    const ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return 0;
    answer.append(buffer, static_cast<size_t>(n));
  }
  int code = 0;
  return absl::SimpleAtoi(answer.substr(9, 3), &code) ? code : 0;
}

}  // namespace

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
    execv(argv[0], argv.data());
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
  return pid_ != 0 && HttpGet(plan_.admin, "/readyz") == 200;
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

absl::Status CheckPortFree(const std::string& address) {
  sockaddr_in at;
  if (!ToAddress(address, &at))
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\": expected IPv4:port"));
  const FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0)
    return absl::OkStatus();
  return ErrnoStatus(errno, "cannot listen on", address);
}

}  // namespace hone::cli
