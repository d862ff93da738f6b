#include "libs/telemetry/admin_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

// What the server on the loopback answers to a raw request, headers and all.
std::string Ask(int port, const std::string& request) {
  const int s = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (::connect(s, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      ::write(s, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    for (ssize_t n; (n = ::read(s, buffer, sizeof(buffer))) > 0;) answer.append(buffer, n);
  }
  ::close(s);
  return answer;
}
std::string Get(int port, const std::string& path) {
  return Ask(port, absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: x\r\n\r\n"));
}
bool Has(const std::string& answer, const std::string& first_line_part,
         const std::string& body_part) {
  return answer.substr(0, answer.find('\r')).find(first_line_part) != std::string::npos &&
         answer.find(body_part, answer.find("\r\n\r\n")) != std::string::npos;
}

TEST_CASE("The admin server answers metrics, probes and version", "[telemetry]") {
  Metrics metrics;
  metrics.AddCounter("hone_steps_total", "Steps.").Increment(3);
  absl::Status alive;
  AdminOptions options;
  options.service = "learner";
  options.conditions = {"weights", "registered"};
  options.alive = [&] { return alive; };
  absl::StatusOr<std::unique_ptr<AdminServer>> server = AdminServer::Start(options, metrics);
  REQUIRE_OK(server);
  AdminServer& admin = **server;
  const int port = admin.port();
  REQUIRE(port > 0);

  const std::string text = Get(port, "/metrics");
  CHECK(Has(text, "200", "\nhone_steps_total 3\n"));
  CHECK(Has(text, "200", "\nprocess_open_fds "));
  CHECK_THAT(text, Catch::Contains("text/plain; version=0.0.4"));
  CHECK(Has(Get(port, "/version"), "200", "\"service\":\"learner\",\"version\":\"0."));
  CHECK(Has(Get(port, "/livez"), "200", "alive"));
  CHECK(Has(Get(port, "/"), "404", "/readyz"));
  CHECK(Has(Get(port, "/metrics/x"), "404", ""));
  CHECK(Has(Ask(port, "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), "405", ""));
  const std::string head = Ask(port, "HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(head.substr(head.find("\r\n\r\n")) == "\r\n\r\n");

  CHECK(Has(Get(port, "/readyz"), "503", "[-] weights: not yet"));
  CHECK(Has(Get(port, "/startupz"), "503", "starting"));
  admin.SetCondition("weights", absl::OkStatus());
  CHECK_FALSE(admin.ready());
  admin.SetCondition("registered", absl::OkStatus());
  CHECK(admin.ready());
  CHECK(Has(Get(port, "/readyz"), "200", "ready"));
  admin.SetCondition("registered", absl::UnavailableError("coordinator at c:1 is silent"));
  CHECK(Has(Get(port, "/readyz"), "503", "[-] registered: coordinator at c:1 is silent"));
  CHECK(Has(Get(port, "/readyz"), "503", "[+] weights\n"));
  CHECK(Has(Get(port, "/startupz"), "200", "started"));
  admin.SetCondition("registered", absl::OkStatus());
  admin.SetDraining();
  CHECK(Has(Get(port, "/readyz"), "503", "draining"));
  CHECK(Has(Get(port, "/livez"), "200", "alive"));
  alive = absl::InternalError("no step for 600 s");
  CHECK(Has(Get(port, "/livez"), "503", "no step for 600 s"));
}

TEST_CASE("A port that is taken is an error that names it", "[telemetry]") {
  Metrics first, second;
  absl::StatusOr<std::unique_ptr<AdminServer>> server = AdminServer::Start({}, first);
  REQUIRE_OK(server);
  AdminOptions taken;
  taken.listen = absl::StrCat("127.0.0.1:", (*server)->port());
  const absl::Status status = AdminServer::Start(taken, second).status();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  INFO(status);
  CHECK_THAT(std::string(status.message()),
             Catch::Contains(taken.listen) && Catch::Contains("ddress"));
  server->reset();
  CHECK_OK(AdminServer::Start(taken, second));
}

TEST_CASE("An address that is none is refused", "[telemetry]") {
  Metrics metrics;
  for (const char* listen :
       {"", "8080", "127.0.0.1", "127.0.0.1:80s", "127.0.0.1:80,81", "a b:1", ":1"}) {
    AdminOptions options;
    options.listen = listen;
    INFO(listen);
    CHECK_CODE(AdminServer::Start(options, metrics), absl::StatusCode::kInvalidArgument);
  }
  AdminOptions options;
  options.listen = "127.0.0.1:70000";
  CHECK_FALSE(AdminServer::Start(options, metrics).ok());
}

TEST_CASE("Many scrapes at once are all answered", "[telemetry]") {
  Metrics metrics;
  absl::StatusOr<std::unique_ptr<AdminServer>> server = AdminServer::Start({}, metrics);
  REQUIRE_OK(server);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i)
        good += Has(Get((*server)->port(), "/metrics"), "200", "hone_build_info") ? 1 : 0;
    });
  for (std::thread& t : threads) t.join();
  CHECK(good == 80);
}

}  // namespace
}  // namespace hone
