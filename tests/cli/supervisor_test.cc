#include "services/cli/up/supervisor.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <thread>

#include "services/cli/http.h"
#include "tests/testing/test.h"

namespace hone::cli {
namespace {

using Catch::Matchers::Contains;

ServicePlan Shell(const testing::TempDir& dir, const std::string& name, const std::string& script) {
  ServicePlan plan;
  plan.name = name;
  plan.binary = "/bin/sh";
  plan.arguments = {"-c", script};
  plan.admin = "127.0.0.1:1";  // never ready
  plan.log = dir.path() + "/" + name + ".log";
  return plan;
}

TEST_CASE("a service that keeps crashing is given up with the end of its log", "[cli]") {
  testing::TempDir dir;
  ShutdownSignals signals;
  std::ostringstream out, err;
  Output output(out, err, false);
  Supervisor::Policy policy;
  policy.most_fast_crashes = 3;
  policy.first_pause = std::chrono::milliseconds(10);
  Supervisor supervisor({Shell(dir, "steady", "exec sleep 60"),
                         Shell(dir, "broken", "echo the disk is gone; exit 3")},
                        policy, signals, output);
  const absl::Status status = supervisor.Run([] { FAIL("nothing is ready"); });
  CHECK(status.code() == absl::StatusCode::kAborted);
  CHECK_THAT(std::string(status.message()), Contains("broken ended 3 times in a row") &&
                                                Contains("exit code 3") &&
                                                Contains("the disk is gone"));
  CHECK_THAT(err.str(), Contains("starting broken again"));
  for (const Child& child : supervisor.children()) CHECK(child.pid() == 0);
}

TEST_CASE("services are stopped in order, and killed when they do not stop", "[cli]") {
  testing::TempDir dir;
  ShutdownSignals signals;
  std::ostringstream out, err;
  Output output(out, err, false);
  Supervisor::Policy policy;
  policy.drain = std::chrono::milliseconds(500);
  Supervisor supervisor({Shell(dir, "deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done")},
                        policy, signals, output);
  std::thread later([] {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    ShutdownSignals::Request();
  });
  CHECK_OK(supervisor.Run([] {}));
  later.join();
  CHECK_THAT(err.str(), Contains("deaf does not stop; killing it"));
  CHECK(supervisor.children()[0].pid() == 0);
}

TEST_CASE("a port that is taken is found before anything starts", "[cli]") {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(listen(fd, 1) == 0);
  socklen_t size = sizeof at;
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  const std::string address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  const absl::Status taken = CheckPortFree(address);
  CHECK_FALSE(taken.ok());
  CHECK_THAT(std::string(taken.message()), Contains(address));
  close(fd);
  CHECK_OK(CheckPortFree(address));
}

}  // namespace
}  // namespace hone::cli
