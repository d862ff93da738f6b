#include "libs/base/shutdown.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "libs/base/check.h"
#include "libs/base/log.h"

namespace hone {
namespace {

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}
void Mask(int how) {
  const sigset_t set = Signals();
  const int error = pthread_sigmask(how, &set, nullptr);
  HONE_CHECK(error == 0) << "pthread_sigmask: " << std::strerror(error);
}
int CountThreads() {
  std::error_code error;
  int count = 0;
  for (std::filesystem::directory_iterator task("/proc/self/task", error), end;
       !error && task != end; task.increment(error))
    ++count;
  return count;
}

}  // namespace

ShutdownSignals::ShutdownSignals() {
  const int threads = CountThreads();
  if (threads > 1)
    Log(LogLevel::kWarning, "signals are blocked after threads were started; they may not drain",
        {{"threads", threads}});
  Mask(SIG_BLOCK);
  ::signal(SIGPIPE, SIG_IGN);
}

ShutdownSignals::~ShutdownSignals() {
  Mask(SIG_UNBLOCK);
}

int ShutdownSignals::Wait() {
  while (true)
    if (std::optional<int> signal = WaitFor(std::chrono::hours(24))) return *signal;
}

std::optional<int> ShutdownSignals::WaitFor(Duration timeout) {
  const TimePoint deadline = std::chrono::steady_clock::now() + timeout;
  const sigset_t set = Signals();
  while (true) {
    const Duration left = std::max(deadline - std::chrono::steady_clock::now(), Duration::zero());
    timespec wait;
    wait.tv_sec = static_cast<time_t>(left.count() / 1'000'000'000);
    wait.tv_nsec = static_cast<long>(left.count() % 1'000'000'000);
    const int signal = ::sigtimedwait(&set, nullptr, &wait);
    if (signal > 0) {
      Log(LogLevel::kInfo, "shutting down", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
      Mask(SIG_UNBLOCK);
      return signal;
    }
    HONE_CHECK(errno == EAGAIN || errno == EINTR) << "sigtimedwait: " << std::strerror(errno);
    if (errno == EAGAIN) return std::nullopt;
  }
}

void ShutdownSignals::Request() {
  ::kill(::getpid(), SIGTERM);
}

}  // namespace hone
