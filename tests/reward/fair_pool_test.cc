#include "libs/reward/fair_pool.h"

#include <atomic>
#include <chrono>
#include <string>

#include "tests/testing/test.h"

namespace hone {
namespace {

// Holds the one thread of a pool until it is destroyed.
class Blocker {
 public:
  explicit Blocker(FairPool& pool) {
    pool.Submit(pool.NewLane(), [this] {
      started_ = true;
      while (!go_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      done_ = true;
    });
    while (!started_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~Blocker() {
    go_ = true;
    while (!done_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

 private:
  std::atomic<bool> started_ = false, go_ = false, done_ = false;
};

TEST_CASE("lanes take turns, and each keeps its order", "[reward]") {
  std::string order;
  {
    FairPool pool(1);
    Blocker blocker(pool);
    const uint64_t a = pool.NewLane(), b = pool.NewLane(), c = pool.NewLane();
    for (char task : {'1', '2', '3', '4'}) pool.Submit(a, [&order, task] { order += task; });
    for (char task : {'x', 'y'}) pool.Submit(b, [&order, task] { order += task; });
    pool.Submit(c, [&order] { order += 'C'; });
    CHECK(pool.waiting() == 7);
  }
  CHECK(order == "1xC2y34");
}

TEST_CASE("a cancelled lane forgets what has not started", "[reward]") {
  std::string order;
  {
    FairPool pool(1);
    Blocker blocker(pool);
    const uint64_t a = pool.NewLane(), b = pool.NewLane();
    for (int i = 0; i < 5; ++i) pool.Submit(a, [&order] { order += 'a'; });
    pool.Submit(b, [&order] { order += 'b'; });
    CHECK(pool.Cancel(a) == 5);
    CHECK(pool.Cancel(a) == 0);
    CHECK(pool.Cancel(77) == 0);
    CHECK(pool.waiting() == 1);
    pool.Submit(a, [&order] { order += 'A'; });
  }
  CHECK(order == "bA");
}

TEST_CASE("a pool runs everything before it ends", "[reward]") {
  std::atomic<int> ran = 0;
  {
    FairPool pool(4);
    const uint64_t a = pool.NewLane(), b = pool.NewLane();
    for (int i = 0; i < 1000; ++i) pool.Submit(i % 3 == 0 ? a : b, [&ran] { ++ran; });
  }
  CHECK(ran == 1000);
}

}  // namespace
}  // namespace hone
