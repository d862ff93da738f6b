#include "libs/telemetry/ledger.h"

#include <map>
#include <thread>

#include "tests/testing/fake_clock.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using std::chrono::seconds;

std::map<std::string, int64_t> Seconds(const Ledger& ledger) {
  const Ledger::Totals totals = ledger.Read();
  std::map<std::string, int64_t> result;
  for (const auto& [state, total] : totals.states)
    result[state] = std::chrono::duration_cast<seconds>(total).count();
  return result;
}

TEST_CASE("A ledger charges the innermost open state", "[telemetry]") {
  testing::FakeClock clock;
  Ledger ledger({"idle", "generate", "wait"}, clock);
  clock.Advance(seconds(1));
  {
    auto generate = ledger.Enter("generate");
    clock.Advance(seconds(10));
    {
      auto wait = ledger.Enter("wait");
      CHECK(ledger.Read().current == "wait");
      clock.Advance(seconds(100));
    }
    clock.Advance(seconds(1000));
  }
  clock.Advance(seconds(10000));
  CHECK(Seconds(ledger) ==
        std::map<std::string, int64_t>{{"idle", 10001}, {"generate", 1010}, {"wait", 100}});
  CHECK(ledger.Read().elapsed == seconds(11111));
  CHECK(ledger.Read().current == "idle");
}

TEST_CASE("Scopes that overlap without nesting charge the newest that is open", "[telemetry]") {
  testing::FakeClock clock;
  Ledger ledger({"idle", "a", "b"}, clock);
  auto a = ledger.Enter("a");
  clock.Advance(seconds(1));
  auto b = ledger.Enter("b");
  clock.Advance(seconds(10));
  a.Leave();
  a.Leave();
  clock.Advance(seconds(100));
  auto moved = std::move(b);
  clock.Advance(seconds(1000));
  moved.Leave();
  clock.Advance(seconds(10000));
  CHECK(Seconds(ledger) == std::map<std::string, int64_t>{{"idle", 10000}, {"a", 1}, {"b", 1110}});
}

TEST_CASE("States add up to the time that passed, to the nanosecond, under many threads",
          "[telemetry]") {
  const TimePoint before = SystemClock::Get().Now();
  Ledger ledger({"idle", "a", "b", "c"});
  const TimePoint made = SystemClock::Get().Now();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        auto outer = ledger.Enter(t % 2 ? "a" : "b");
        auto inner = ledger.Enter("c");
        if (i % 3 == 0) outer.Leave();
      }
    });
  for (int i = 0; i < 200; ++i) {
    const TimePoint first = SystemClock::Get().Now();
    const Ledger::Totals totals = ledger.Read();
    const TimePoint last = SystemClock::Get().Now();
    Duration sum{};
    for (const auto& [state, total] : totals.states) {
      CHECK(total >= Duration::zero());
      sum += total;
    }
    CHECK(sum == totals.elapsed);
    CHECK(totals.elapsed >= first - made);
    CHECK(totals.elapsed <= last - before);
  }
  for (std::thread& t : threads) t.join();
  CHECK(ledger.Read().current == "idle");
}

TEST_CASE("A ledger is exported by state", "[telemetry]") {
  testing::FakeClock clock;
  Metrics metrics;
  Ledger ledger({"idle", "train"}, clock);
  const Metrics::Callback exported = ExportLedger(metrics, "learner", ledger);
  clock.Advance(std::chrono::milliseconds(2500));
  auto train = ledger.Enter("train");
  clock.Advance(seconds(4));
  const std::string text = metrics.Render();
  CHECK_THAT(text, Catch::Contains("# TYPE hone_learner_ledger_seconds_total counter\n") &&
                       Catch::Contains("hone_learner_ledger_seconds_total{state=\"idle\"} 2.5\n") &&
                       Catch::Contains("hone_learner_ledger_seconds_total{state=\"train\"} 4\n"));
}

}  // namespace
}  // namespace hone
