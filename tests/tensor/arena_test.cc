#include "libs/tensor/arena.h"

#include <algorithm>
#include <random>

#include "tests/testing/metered_table.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using testing::ForgetPeak;
using testing::HeldBytes;
using testing::MeteredTable;
using testing::PeakBytes;

constexpr int64_t kMiB = 1 << 20;

// The arrays of a training pass: many that stay, some that go again. Where they were.
std::vector<void*> Pass(Arena& arena, int64_t layers) {
  std::mt19937_64 random(1);
  std::vector<void*> places;
  for (int64_t l = 0; l < layers; ++l) {
    for (int i = 0; i < 8; ++i)
      places.push_back(arena.Allocate(static_cast<int64_t>(random() % uint64_t{kMiB})));
    const Arena::Mark mark = arena.mark();
    places.push_back(arena.Allocate(kMiB));
    arena.Release(mark);
  }
  return places;
}

TEST_CASE("an arena holds little more than the most that it needed, and gives the same places",
          "[tensor]") {
  const int64_t before = HeldBytes();
  for (const int64_t layers : {1, 10, 20, 26, 40, 60, 70, 100}) {
    Arena arena(MeteredTable());
    const std::vector<void*> places = Pass(arena, layers);
    const int64_t held = HeldBytes() - before;
    CHECK(held == arena.capacity());
    INFO(layers << " layers: " << held << " for " << arena.peak());
    // A quarter, and the end of each block, where the next array had no room.
    CHECK(static_cast<double>(held) < 1.25 * static_cast<double>(arena.peak()) + 16.0 * kMiB);
    if (layers >= 40) CHECK(static_cast<double>(held) < 1.4 * static_cast<double>(arena.peak()));
    arena.Reset();
    CHECK(Pass(arena, layers) == places);
    CHECK(HeldBytes() - before == held);
  }
  CHECK(HeldBytes() == before);
}

TEST_CASE("what is reserved is one block, and never beside that of before", "[tensor]") {
  const int64_t before = HeldBytes();
  Arena arena(MeteredTable());
  arena.Reserve(100 * kMiB);
  CHECK(HeldBytes() - before == 100 * kMiB);
  const std::vector<void*> places = Pass(arena, 20);
  REQUIRE(arena.peak() < 100 * kMiB);
  CHECK(HeldBytes() - before == 100 * kMiB);
  arena.Reset();
  arena.Reserve(50 * kMiB);  // is there
  CHECK(Pass(arena, 20) == places);

  Pass(arena, 60);
  const int64_t grown = HeldBytes() - before;
  CHECK(grown > arena.peak());
  arena.Reset();
  ForgetPeak();
  arena.Reserve(1);
  CHECK(HeldBytes() - before == arena.peak());
  CHECK(PeakBytes() - before == grown);
  const int64_t peak = arena.peak();
  Pass(arena, 20);
  Pass(arena, 60);
  CHECK(arena.peak() == peak);
  CHECK(arena.capacity() == peak);  // the same again fits exactly
}

}  // namespace
}  // namespace hone
