#include "libs/base/queue.h"

#include <atomic>
#include <memory>
#include <numeric>
#include <thread>

#include "tests/testing/test.h"

namespace hone {
namespace {

using std::chrono::milliseconds;
TimePoint In(milliseconds t) {
  return SystemClock::Get().Now() + t;
}

TEST_CASE("A queue gives items back in order", "[base]") {
  Queue<int> queue("numbers", 3);
  for (int i : {1, 2, 3}) CHECK_OK(queue.Push(int{i}));
  CHECK(queue.size() == 3);
  CHECK(*queue.Pop() == 1);
  CHECK(*queue.PopSome(5) == std::vector<int>{2, 3});
  CHECK_FALSE(queue.TryPop().has_value());
}

TEST_CASE("A full queue refuses at the deadline, names itself and keeps the item with the caller",
          "[base]") {
  Queue<std::unique_ptr<int>> queue("verdicts", 1);
  CHECK_OK(queue.Push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  const absl::Status status = queue.Push(second, In(milliseconds(5)));
  CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("verdicts") && Catch::Contains("1 items"));
  REQUIRE(second != nullptr);
  CHECK_FALSE(queue.TryPush(second));
  REQUIRE(second != nullptr);
  CHECK(**queue.Pop() == 1);
  CHECK(queue.TryPush(second));
  CHECK(second == nullptr);
}

TEST_CASE("An empty queue ends the wait at the deadline", "[base]") {
  Queue<int> queue("numbers", 1);
  const TimePoint before = SystemClock::Get().Now();
  CHECK_CODE(queue.Pop(In(milliseconds(20))), absl::StatusCode::kDeadlineExceeded);
  CHECK(SystemClock::Get().Now() - before >= milliseconds(20));
}

TEST_CASE("A closed queue gives out what it holds and then says CANCELLED", "[base]") {
  Queue<int> queue("numbers", 2);
  CHECK_OK(queue.Push(7));
  queue.Close();
  CHECK_CODE(queue.Push(8), absl::StatusCode::kCancelled);
  CHECK_FALSE(queue.TryPush(8));
  CHECK(*queue.Pop() == 7);
  CHECK_CODE(queue.Pop(), absl::StatusCode::kCancelled);
  CHECK_CODE(queue.PopSome(2), absl::StatusCode::kCancelled);
}

TEST_CASE("Closing wakes those who wait and hands back the rest", "[base]") {
  Queue<int> full("full", 1), empty("empty", 1);
  CHECK_OK(full.Push(1));
  absl::Status pushed, popped;
  std::thread pusher([&] { pushed = full.Push(2); });
  std::thread popper([&] { popped = empty.Pop().status(); });
  std::this_thread::sleep_for(milliseconds(5));
  CHECK(full.CloseAndDrain() == std::vector<int>{1});
  empty.Close();
  pusher.join();
  popper.join();
  CHECK(pushed.code() == absl::StatusCode::kCancelled);
  CHECK(popped.code() == absl::StatusCode::kCancelled);
}

TEST_CASE("No item is lost or doubled between many producers and consumers", "[base]") {
  constexpr int kThreads = 4, kEach = 2000;
  Queue<int> queue("numbers", 3);
  std::vector<std::atomic<int>> seen(kThreads * kEach);
  std::vector<std::thread> producers, consumers;
  for (int t = 0; t < kThreads; ++t) {
    producers.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) (void)queue.Push(t * kEach + i);
    });
    consumers.emplace_back([&] {
      while (true) {
        absl::StatusOr<std::vector<int>> some = queue.PopSome(2);
        if (!some.ok()) return;
        for (int i : *some) ++seen[i];
      }
    });
  }
  for (std::thread& t : producers) t.join();
  queue.Close();
  for (std::thread& t : consumers) t.join();
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& n) { return n == 1; }));
}

}  // namespace
}  // namespace hone
