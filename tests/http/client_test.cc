#include "libs/http/client.h"

#include <cstdlib>
#include <thread>

#include "tests/http/server.h"
#include "tests/testing/test.h"

namespace hone::http {
namespace {

using testing::Server;
using testing::ServerReply;
using testing::ServerRequest;

TimePoint In(int milliseconds) {
  return SystemClock::Get().Now() + std::chrono::milliseconds(milliseconds);
}

absl::StatusOr<Response> Get(const Server& server, int milliseconds = 5000) {
  Client client;
  Request request;
  request.url = server.url() + "/a";
  request.max_reply_bytes = 1000;
  return client.Fetch(request, In(milliseconds));
}

TEST_CASE("requests carry what was asked for, and replies come back whole", "[http]") {
  Server server([](const ServerRequest& r) {
    ServerReply reply;
    reply.code = r.path == "/missing" ? 404 : 200;
    reply.body = r.method + " " + r.path + " " + r.authorization + " " + r.body;
    return reply;
  });
  Client client;
  Request request;
  request.url = server.url() + "/x";
  request.headers = {"Authorization: Bearer k"};
  request.body = std::string(100'000, 'b');
  absl::StatusOr<Response> response = client.Fetch(request, In(5000));
  REQUIRE_OK(response);
  CHECK(response->code == 200);
  CHECK(response->body == "POST /x Bearer k " + *request.body);
  request.body.reset();
  request.headers.clear();
  request.url = server.url() + "/missing";
  response = client.Fetch(request, In(5000));  // the same handle: nothing of the first is left
  REQUIRE_OK(response);
  CHECK(response->code == 404);
  CHECK(response->body == "GET /missing  ");
}

TEST_CASE("a reply that is too long, too slow or no HTTP is an error", "[http]") {
  SECTION("too long") {
    Server server([](const ServerRequest&) { return ServerReply{200, std::string(1001, 'x')}; });
    CHECK_CODE(Get(server), absl::StatusCode::kOutOfRange);
  }
  SECTION("as long as may be") {
    Server server([](const ServerRequest&) { return ServerReply{200, std::string(1000, 'x')}; });
    REQUIRE_OK(Get(server));
  }
  SECTION("silence") {
    Server server([](const ServerRequest&) {
      ServerReply reply;
      reply.delay = std::chrono::seconds(60);
      return reply;
    });
    const TimePoint start = SystemClock::Get().Now();
    CHECK_CODE(Get(server, 100), absl::StatusCode::kDeadlineExceeded);
    CHECK(SystemClock::Get().Now() - start < std::chrono::seconds(5));
  }
  SECTION("drop by drop") {
    Server server([](const ServerRequest&) {
      ServerReply reply{200, std::string(900, 'x')};
      reply.drip = std::chrono::milliseconds(20);
      return reply;
    });
    CHECK_CODE(Get(server, 200), absl::StatusCode::kDeadlineExceeded);
  }
  SECTION("garbage") {
    Server server([](const ServerRequest&) {
      ServerReply reply{200, "SSH-2.0-OpenSSH_9.2\r\n"};
      reply.raw = true;
      return reply;
    });
    CHECK_CODE(Get(server), absl::StatusCode::kUnavailable);
  }
  SECTION("half a body") {
    Server server([](const ServerRequest&) {
      ServerReply reply{200, "half"};
      reply.claim = 8;
      return reply;
    });
    CHECK_CODE(Get(server), absl::StatusCode::kUnavailable);
  }
}

TEST_CASE("nobody there, no time, no URL", "[http]") {
  Client client;
  Request request;
  {
    Server gone([](const ServerRequest&) { return ServerReply(); });
    request.url = gone.url();
  }
  CHECK_CODE(client.Fetch(request, In(5000)), absl::StatusCode::kUnavailable);
  CHECK_CODE(client.Fetch(request, In(-1)), absl::StatusCode::kDeadlineExceeded);
  for (const char* url : {"", "file:///etc/passwd", "gopher://127.0.0.1/", "http://"}) {
    request.url = url;
    INFO(url);
    CHECK_CODE(client.Fetch(request, In(5000)), absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("Retry-After is read, and redirects are not followed", "[http]") {
  Server server([](const ServerRequest& r) {
    ServerReply reply;
    reply.code = 302;
    reply.headers = "Retry-After: 7\r\nLocation: /elsewhere\r\n";
    return reply;
  });
  const absl::StatusOr<Response> response = Get(server);
  REQUIRE_OK(response);
  CHECK(response->code == 302);
  CHECK(response->retry_after == Duration(std::chrono::seconds(7)));
  CHECK(server.requests() == 1);
}

TEST_CASE("a request may ignore the proxies of the environment", "[http]") {
  Server server([](const ServerRequest&) { return ServerReply(); });
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  Client client;
  Request request;
  request.url = server.url();
  CHECK_CODE(client.Fetch(request, In(5000)), absl::StatusCode::kUnavailable);
  request.direct = true;
  CHECK_OK(client.Fetch(request, In(5000)));
  unsetenv("http_proxy");
}

}  // namespace
}  // namespace hone::http
