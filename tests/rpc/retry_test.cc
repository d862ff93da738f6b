#include "libs/rpc/retry.h"

#include <vector>

#include "libs/rpc/status.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/test.h"

namespace hone::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr RetryPolicy kExact = {
    .initial = milliseconds(100), .max = seconds(1), .factor = 2, .jitter = 0};

TEST_CASE("a call is repeated until the peer answers, with rising pauses", "[rpc]") {
  testing::FakeClock clock;
  Retrier retrier("coordinator at here:1", kExact, nullptr, clock);
  std::vector<Duration> at;
  REQUIRE_OK(retrier.Run(kNoDeadline, [&] {
    at.push_back(clock.elapsed());
    if (at.size() == 7) return absl::OkStatus();
    return at.size() % 2 == 0 ? absl::UnavailableError("away")
                              : absl::ResourceExhaustedError("busy");
  }));
  CHECK(at == std::vector<Duration>{milliseconds(0), milliseconds(100), milliseconds(300),
                                    milliseconds(700), milliseconds(1500), milliseconds(2500),
                                    milliseconds(3500)});
}

TEST_CASE("an error that would come again is returned at once", "[rpc]") {
  testing::FakeClock clock;
  Retrier retrier("peer", kExact, nullptr, clock);
  for (const absl::Status& status :
       {absl::InvalidArgumentError("x"), absl::AbortedError("x"), absl::DeadlineExceededError("x"),
        absl::InternalError("x"), absl::NotFoundError("x")}) {
    int calls = 0;
    CHECK(retrier.Run(kNoDeadline, [&] {
      ++calls;
      return status;
    }) == status);
    CHECK(calls == 1);
  }
}

TEST_CASE("the deadline ends waiting and the error names the peer", "[rpc]") {
  testing::FakeClock clock;
  Retrier retrier("coordinator at here:1", kExact, nullptr, clock);
  int calls = 0;
  const absl::Status status = retrier.Run(clock.Now() + milliseconds(1000), [&] {
    ++calls;
    return WithReason(absl::UnavailableError("connection refused"), "AWAY");
  });
  CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(status.message() == "waited 0.7 s for coordinator at here:1: connection refused");
  CHECK(ReasonOf(status) == "AWAY");
  CHECK(calls == 4);
  CHECK(clock.elapsed() == milliseconds(700));  // no pause that no attempt follows
}

TEST_CASE("a pause that the server asks for is kept", "[rpc]") {
  testing::FakeClock clock;
  Retrier retrier("peer", kExact, nullptr, clock);
  int calls = 0;
  REQUIRE_OK(retrier.Run(kNoDeadline, [&] {
    return ++calls == 2 ? absl::OkStatus()
                        : WithRetryDelay(absl::ResourceExhaustedError("full"), seconds(7));
  }));
  CHECK(clock.elapsed() == seconds(7));
}

TEST_CASE("shutting down ends waiting within a tenth of a second", "[rpc]") {
  testing::FakeClock clock;
  Retrier retrier(
      "peer", {.initial = seconds(60), .max = seconds(60), .jitter = 0},
      [&] { return clock.elapsed() >= milliseconds(250); }, clock);
  const absl::Status status =
      retrier.Run(kNoDeadline, [] { return absl::UnavailableError("away"); });
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(status.message() == "gave up waiting for peer: shutting down");
  CHECK(clock.elapsed() == milliseconds(300));
}

TEST_CASE("jitter spreads the pauses around their value", "[rpc]") {
  double low = 1e9, high = 0;
  for (int i = 0; i < 200; ++i) {
    testing::FakeClock clock;
    Retrier retrier("peer", {.initial = milliseconds(100), .jitter = 0.3}, nullptr, clock);
    int calls = 0;
    REQUIRE_OK(retrier.Run(kNoDeadline, [&] {
      return ++calls == 2 ? absl::OkStatus() : absl::UnavailableError("away");
    }));
    const double ms = std::chrono::duration<double, std::milli>(clock.elapsed()).count();
    low = std::min(low, ms);
    high = std::max(high, ms);
  }
  CHECK(low >= 70);
  CHECK(high <= 130);
  CHECK(high - low > 20);
}

}  // namespace
}  // namespace hone::rpc
