#include "libs/base/shutdown.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/testing/test.h"

namespace hone {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("A shutdown signal is waited for, whichever thread asks", "[base]") {
  ShutdownSignals signals;
  CHECK_FALSE(signals.WaitFor(milliseconds(5)).has_value());
  std::thread asker([] { ShutdownSignals::Request(); });
  CHECK(signals.WaitFor(seconds(30)) == SIGTERM);
  asker.join();
}

TEST_CASE("A service drains on SIGTERM, and the second signal kills it", "[base]") {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const auto start = [&](bool hang) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGTERM, SIG_DFL);  // The test framework's own handler would report a failure.
      ::signal(SIGINT, SIG_DFL);
      ShutdownSignals signals;
      std::thread worker([] { std::this_thread::sleep_for(milliseconds(1)); });
      (void)!::write(ready[1], "r", 1);
      signals.Wait();
      (void)!::write(ready[1], "d", 1);
      if (hang) ::pause();
      worker.join();
      ::_exit(7);
    }
    return child;
  };
  const auto await = [&] {
    char c = 0;
    return ::read(ready[0], &c, 1) == 1 ? c : '?';
  };
  int status = 0;
  pid_t child = start(false);
  CHECK(await() == 'r');
  ::kill(child, SIGINT);
  CHECK(await() == 'd');
  ::waitpid(child, &status, 0);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 7));

  child = start(true);
  CHECK(await() == 'r');
  ::kill(child, SIGTERM);
  CHECK(await() == 'd');
  ::kill(child, SIGTERM);
  ::waitpid(child, &status, 0);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM));
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace hone
