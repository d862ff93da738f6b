#include "libs/http/endpoint.h"

#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
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

std::unique_ptr<Endpoint> Make(EndpointOptions options) {
  options.first_pause = std::chrono::milliseconds(2);
  absl::StatusOr<std::unique_ptr<Endpoint>> endpoint = Endpoint::Create(std::move(options));
  REQUIRE_OK(endpoint);
  return *std::move(endpoint);
}

// Answers the first `failures` requests with `code`.
Server::Handler FailFirst(int failures, int code, std::string headers = "") {
  auto left = std::make_shared<std::atomic<int>>(failures);
  return [=](const ServerRequest&) {
    ServerReply reply;
    reply.code = (*left)-- > 0 ? code : 200;
    if (reply.code != 200) reply.headers = headers;
    reply.body = "{}";
    return reply;
  };
}

TEST_CASE("what may pass is tried again, what would not is not", "[http]") {
  for (const int code : {408, 429, 500, 502, 503, 504}) {
    Server server(FailFirst(2, code));
    INFO(code);
    CHECK_OK(Make({.url = server.url() + "/v1/"})->Post("/x", "{}", In(10'000)));
    CHECK(server.requests() == 3);
  }
  for (const int code : {302, 400, 401, 403, 404, 413, 501}) {
    Server server(FailFirst(2, code));
    INFO(code);
    CHECK_CODE(Make({.url = server.url()})->Post("/x", "{}", In(10'000)),
               absl::StatusCode::kFailedPrecondition);
    CHECK(server.requests() == 1);
  }
}

TEST_CASE("attempts are counted, and an attempt that hangs is one", "[http]") {
  Server failing(FailFirst(100, 500));
  CHECK_CODE(Make({.url = failing.url(), .attempts = 3})->Post("", "{}", In(10'000)),
             absl::StatusCode::kUnavailable);
  CHECK(failing.requests() == 3);

  std::atomic<int> count{0};
  Server hanging([&](const ServerRequest&) {
    ServerReply reply;
    if (count++ == 0) reply.delay = std::chrono::seconds(30);
    return reply;
  });
  CHECK_OK(Make({.url = hanging.url(), .attempt_timeout = std::chrono::milliseconds(100)})
               ->Post("", "{}", In(10'000)));
  CHECK(hanging.requests() == 2);
}

TEST_CASE("all attempts together keep the deadline", "[http]") {
  Server server(FailFirst(1'000'000, 503));
  auto endpoint = Make({.url = server.url(),
                        .attempts = 100,
                        .longest_pause = std::chrono::milliseconds(50),
                        .breaker_failures = 1000});
  const TimePoint start = SystemClock::Get().Now();
  // In a pause or in an attempt: both may be when the time is over.
  const absl::Status status = endpoint->Post("", "{}", In(300)).status();
  CHECK((absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)));
  CHECK(SystemClock::Get().Now() - start < std::chrono::seconds(2));
  CHECK(server.requests() >= 3);
}

TEST_CASE("Retry-After is kept, and not waited for beyond the deadline", "[http]") {
  Server server(FailFirst(1, 429, "Retry-After: 1\r\n"));
  auto endpoint = Make({.url = server.url()});
  const TimePoint start = SystemClock::Get().Now();
  const absl::Status status = endpoint->Post("", "{}", In(500)).status();
  CHECK(absl::IsUnavailable(status));
  CHECK(absl::StrContains(status.message(), "429"));
  CHECK(SystemClock::Get().Now() - start < std::chrono::milliseconds(450));

  Server other(FailFirst(1, 503, "Retry-After: 1\r\n"));
  const TimePoint second = SystemClock::Get().Now();
  CHECK_OK(Make({.url = other.url()})->Post("", "{}", In(10'000)));
  CHECK(SystemClock::Get().Now() - second >= std::chrono::seconds(1));
}

TEST_CASE("no more requests at once than allowed; who waits too long is told", "[http]") {
  Server server([](const ServerRequest&) {
    ServerReply reply;
    reply.delay = std::chrono::milliseconds(50);
    return reply;
  });
  auto endpoint = Make({.url = server.url(), .concurrency = 3});
  std::vector<std::thread> threads;
  std::atomic<int> fine{0};
  for (int i = 0; i < 12; ++i)
    threads.emplace_back([&] { fine += endpoint->Post("", "{}", In(20'000)).ok(); });
  for (std::thread& t : threads) t.join();
  CHECK(fine == 12);
  CHECK(server.most_at_once() <= 3);
  CHECK(server.most_at_once() >= 2);

  Server slow([](const ServerRequest&) {
    ServerReply reply;
    reply.delay = std::chrono::milliseconds(700);
    return reply;
  });
  auto narrow = Make({.url = slow.url(), .concurrency = 1});
  absl::Status held;  // assertions belong to the test's own thread
  std::thread first([&] { held = narrow->Post("", "{}", In(20'000)).status(); });
  while (slow.requests() == 0) std::this_thread::yield();
  const absl::Status late = narrow->Post("", "{}", In(50)).status();
  CHECK(absl::IsDeadlineExceeded(late));
  CHECK(absl::StrContains(late.message(), "busy"));
  first.join();
  CHECK_OK(held);
}

TEST_CASE("a service that keeps failing is left alone, then tried by one", "[http]") {
  std::atomic<int> code{500};
  Server server([&](const ServerRequest&) {
    ServerReply reply;
    reply.code = code;
    return reply;
  });
  auto endpoint = Make({.url = server.url(),
                        .attempts = 1,
                        .breaker_failures = 3,
                        .breaker_pause = std::chrono::milliseconds(300)});
  for (int i = 0; i < 3; ++i)
    CHECK_CODE(endpoint->Post("", "{}", In(5000)), absl::StatusCode::kUnavailable);
  CHECK(server.requests() == 3);
  const absl::Status refused = endpoint->Post("", "{}", In(5000)).status();
  CHECK(absl::StrContains(refused.message(), "left alone"));
  CHECK(server.requests() == 3);
  std::this_thread::sleep_for(std::chrono::milliseconds(350));
  CHECK_CODE(endpoint->Post("", "{}", In(5000)), absl::StatusCode::kUnavailable);  // the probe
  CHECK(server.requests() == 4);
  CHECK_CODE(endpoint->Post("", "{}", In(5000)), absl::StatusCode::kUnavailable);
  CHECK(server.requests() == 4);
  code = 200;
  std::this_thread::sleep_for(std::chrono::milliseconds(350));
  for (int i = 0; i < 3; ++i) CHECK_OK(endpoint->Post("", "{}", In(5000)));
  CHECK(server.requests() == 7);
}

TEST_CASE("keys come from a file or a variable, are sent, and are in no message", "[http]") {
  testing::TempDir folder;
  const std::string file = folder.path() + "/key";
  std::ofstream(file) << "  sk-secret\n";
  setenv("HONE_TEST_KEY", "sk-other", 1);
  CHECK(LoadApiKey(file, "").value() == "sk-secret");
  CHECK(LoadApiKey("", "HONE_TEST_KEY").value() == "sk-other");
  CHECK(LoadApiKey("", "").value().empty());
  CHECK_CODE(LoadApiKey(file, "HONE_TEST_KEY"), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(LoadApiKey("", "HONE_TEST_NO_KEY"), absl::StatusCode::kNotFound);
  CHECK_CODE(LoadApiKey(folder.path() + "/none", ""), absl::StatusCode::kNotFound);

  std::string seen;
  Server server([&](const ServerRequest& r) {
    seen = r.authorization;
    ServerReply reply;
    reply.code = 403;
    reply.body = "no access for " + r.authorization;
    return reply;
  });
  const absl::Status status =
      Make({.url = server.url(), .api_key = "sk-secret"})->Post("", "{}", In(5000)).status();
  CHECK(seen == "Bearer sk-secret");
  CHECK_FALSE(absl::StrContains(status.message(), "secret"));
}

TEST_CASE("options that cannot be used are refused", "[http]") {
  const auto code = [](EndpointOptions options) {
    return Endpoint::Create(std::move(options)).status().code();
  };
  const absl::StatusCode bad = absl::StatusCode::kInvalidArgument;
  CHECK(code({.url = "judge:8000"}) == bad);
  CHECK(code({.url = "http://a/b?key=1"}) == bad);
  CHECK(code({.url = "http://a/ b"}) == bad);
  CHECK(code({.url = "http://a", .api_key = "k\r\nX: y"}) == bad);
  CHECK(code({.url = "http://a", .concurrency = 0}) == bad);
  CHECK(code({.url = "http://a", .attempts = 0}) == bad);
  CHECK(code({.url = "http://a", .attempt_timeout = Duration(0)}) == bad);
  const absl::Status user = Endpoint::Create({.url = "http://me:pw@a/"}).status();
  CHECK(user.code() == bad);
  CHECK_FALSE(absl::StrContains(user.message(), "pw"));
}

}  // namespace
}  // namespace hone::http
