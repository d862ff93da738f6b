#include "services/coordinator/long_polls.h"

#include <atomic>
#include <future>

#include "tests/testing/test.h"

namespace hone::testing {
namespace {

TimePoint In(Duration d) {
  return SystemClock::Get().Now() + d;
}

TEST_CASE("A waiting call is tried on changes of its topic only, and last at its deadline",
          "[coordinator]") {
  LongPolls polls;
  std::atomic<int> tries{0};
  std::promise<bool> done;
  polls.Wait(kBatch, polls.now(), In(std::chrono::seconds(20)), [&](bool last) {
    if (++tries < 2) return false;
    done.set_value(last);
    return true;
  });
  polls.Notify(kWork);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK(tries == 0);
  polls.Notify(kBatch);
  while (tries < 1) std::this_thread::yield();
  CHECK(polls.waiting() == 1);
  polls.Notify(kBatch | kWork);
  CHECK(done.get_future().get() == false);

  std::promise<bool> late;
  polls.Wait(kBatch, polls.now(), In(std::chrono::milliseconds(20)), [&](bool last) {
    if (last) late.set_value(true);
    return last;
  });
  CHECK(late.get_future().get());
}

TEST_CASE("A change between looking and waiting is not missed", "[coordinator]") {
  LongPolls polls;
  const uint64_t seen = polls.now();
  polls.Notify(kBatch);
  std::promise<bool> done;
  polls.Wait(kBatch, seen, In(std::chrono::seconds(20)), [&](bool last) {
    done.set_value(last);
    return true;
  });
  CHECK(done.get_future().get() == false);
}

TEST_CASE("Stop answers everybody, and later ones at once", "[coordinator]") {
  std::atomic<int> answered{0};
  auto answer = [&](bool last) {
    answered += last;
    return last;
  };
  LongPolls polls;
  for (int i = 0; i < 100; ++i)
    polls.Wait(kWork, polls.now(), In(std::chrono::seconds(20)), answer);
  polls.Stop();
  polls.Wait(kWork, polls.now(), In(std::chrono::seconds(20)), answer);
  while (answered < 101) std::this_thread::yield();
  CHECK(answered == 101);
}

}  // namespace
}  // namespace hone::testing
