#include "libs/base/periodic.h"

#include <pthread.h>

#include "libs/base/queue.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("A periodic function runs again and again on a thread of its name", "[base]") {
  Queue<std::string> runs("runs", 100);
  Periodic periodic("renew-the-leases-often", milliseconds(1), [&] {
    char name[16];
    pthread_getname_np(pthread_self(), name, sizeof(name));
    runs.TryPush(std::string(name));
  });
  for (int i = 0; i < 3; ++i) {
    absl::StatusOr<std::string> name = runs.Pop(SystemClock::Get().Now() + seconds(30));
    REQUIRE_OK(name);
    CHECK(*name == "renew-the-lease");
  }
}

TEST_CASE("A trigger runs the function now, and Stop runs it no more", "[base]") {
  Queue<int> runs("runs", 100);
  Periodic periodic("rare", hours(1), [&] { runs.TryPush(1); });
  CHECK_CODE(runs.Pop(SystemClock::Get().Now() + milliseconds(10)),
             absl::StatusCode::kDeadlineExceeded);
  periodic.Trigger();
  CHECK_OK(runs.Pop(SystemClock::Get().Now() + seconds(30)));
  periodic.Stop();
  periodic.Stop();
  periodic.Trigger();
  CHECK_CODE(runs.Pop(SystemClock::Get().Now() + milliseconds(10)),
             absl::StatusCode::kDeadlineExceeded);
}

TEST_CASE("The destructor waits for the run in progress", "[base]") {
  Queue<int> started("started", 1);
  bool finished = false;
  {
    Periodic periodic("slow", milliseconds(1), [&] {
      started.TryPush(1);
      std::this_thread::sleep_for(milliseconds(20));
      finished = true;
    });
    REQUIRE_OK(started.Pop(SystemClock::Get().Now() + seconds(30)));
  }
  CHECK(finished);
}

TEST_CASE("A fake clock moves only by hand", "[base]") {
  testing::FakeClock clock;
  const TimePoint start = clock.Now();
  const WallTime wall = clock.WallNow();
  CHECK(clock.Now() == start);
  clock.Advance(seconds(3));
  clock.SleepFor(milliseconds(500));
  clock.SleepFor(milliseconds(-500));
  CHECK(clock.Now() - start == milliseconds(3500));
  CHECK(clock.WallNow() - wall == milliseconds(3500));
}

}  // namespace
}  // namespace hone
