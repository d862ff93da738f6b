// Weights that change: marks, lists of what is marked, putting it in place, digests. Every backend,
// any number of threads, the same bits.

#include <algorithm>
#include <bit>
#include <numeric>

#include "kernels/mix.h"
#include "tests/kernels/case.h"
#include "tests/kernels/tables.h"
#include "tests/testing/test.h"

namespace hone::kernels {
namespace {

using testing::SharedVector;

struct OpenStream {
  OpenStream(const Table& t, int threads) : table(t) {
    REQUIRE(t.open({.threads = threads}, &stream) == nullptr);
  }
  ~OpenStream() { table.close(stream); }
  OpenStream(const OpenStream&) = delete;
  OpenStream& operator=(const OpenStream&) = delete;
  const Table& table;
  Stream stream = nullptr;
};

SharedVector<float> Floats(int64_t n, uint64_t seed) {
  const testing::Numbers x = testing::Random(n, seed);
  SharedVector<float> v(n);
  for (int64_t i = 0; i < n; ++i)
    v[i] = static_cast<float>(x[i]) + 0.3f / static_cast<float>(i + 1);
  return v;
}

// Bits of an arena, of which [first, first + changed.size()) are as `changed` says and none other
// is set.
void CheckMarks(const SharedVector<uint32_t>& bits, int64_t first,
                const std::vector<bool>& changed) {
  int64_t wrong = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(bits.size()) * 32; ++i) {
    const int64_t own = i - first;
    const bool want = own >= 0 && own < static_cast<int64_t>(changed.size()) && changed[own];
    wrong += want != (bits[i / 32] >> i % 32 & 1);
  }
  CHECK(wrong == 0);
}

TEST_CASE("an update marks the bf16 weights that change, and no others", "[kernels]") {
  const Table& table = *GENERATE(from_range(testing::Tables()));
  const int threads = GENERATE(1, 3);
  INFO(table.name << ", " << threads << " threads");
  const int64_t n = GENERATE(1, 37, 50021), first = GENERATE(0, 13, 64);
  const OpenStream on(table, threads);
  SharedVector<float> master = Floats(n, 1), grad = Floats(n, 2), m = Floats(n, 3), v(n, 0.5f);
  SharedVector<uint16_t> weights(n), separately(n);
  SharedVector<uint32_t> bits((first + n) / 32 + 2, 0);
  CastArgs cast{
      .x = master.data(), .y = weights.data(), .n = n, .from = DType::kF32, .to = DType::kBF16};
  REQUIRE(table.cast(cast, on.stream) == nullptr);
  AdamWArgs step{.master = master.data(),
                 .grad = grad.data(),
                 .m = m.data(),
                 .v = v.data(),
                 .n = n,
                 .lr = 1e-4f,
                 .beta1 = 0.9f,
                 .beta2 = 0.95f,
                 .eps = 1e-8f,
                 .weight_decay = 0,
                 .correction1 = 0.1f,
                 .correction2 = 0.05f,
                 .grad_scale = 1,
                 .rounded = weights.data(),
                 .marks = {.bits = bits.data(), .first = first}};
  std::vector<bool> changed(n);
  for (int times = 0; times < 2; ++times) {  // marks stay
    testing::Synchronize();
    const std::vector<uint16_t> before(weights.begin(), weights.end());
    REQUIRE(table.adamw(step, on.stream) == nullptr);
    cast.y = separately.data();
    REQUIRE(table.cast(cast, on.stream) == nullptr);
    testing::Synchronize();
    CHECK(std::equal(weights.begin(), weights.end(), separately.begin()));
    for (int64_t i = 0; i < n; ++i) changed[i] = changed[i] || before[i] != weights[i];
    CheckMarks(bits, first, changed);
  }
  const auto count = std::count(changed.begin(), changed.end(), true);
  if (n > 1000) CHECK((count > n / 100 && count < n / 2));

  // The same by a cast, for what another rule has updated.
  for (int64_t i = 0; i < n; i += 5) master[i] *= 1.5f;
  std::fill(bits.begin(), bits.end(), 0);
  cast.y = weights.data();
  cast.marks = {.bits = bits.data(), .first = first};
  REQUIRE(table.cast(cast, on.stream) == nullptr);
  testing::Synchronize();
  for (int64_t i = 0; i < n; ++i) changed[i] = separately[i] != weights[i];
  CHECK(changed[0]);
  CheckMarks(bits, first, changed);

  cast.to = DType::kF32;
  CHECK(table.cast(cast, on.stream) != nullptr);
}

TEST_CASE("what is marked is listed in order and put in place elsewhere", "[kernels]") {
  const Table& table = *GENERATE(from_range(testing::Tables()));
  const int threads = GENERATE(1, 3);
  INFO(table.name << ", " << threads << " threads");
  const int64_t n = GENERATE(1, 70000, 2 * kSegment, 3 * kSegment - 7);
  const int64_t every = GENERATE(1, 3, 977);
  const OpenStream on(table, threads);
  const int64_t segments = (n + kSegment - 1) / kSegment;
  SharedVector<uint16_t> x(n), copy(n, 7);
  SharedVector<uint32_t> bits((n + 31) / 32, 0), counts(segments, 99);
  std::vector<int64_t> marked;
  for (int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<uint16_t>(i * 31 + i / 65536);
    if (i % every != 0) continue;
    bits[i / 32] |= uint32_t{1} << i % 32;
    marked.push_back(i);
  }
  REQUIRE(table.count_marked({.bits = bits.data(), .n = n, .counts = counts.data()}, on.stream) ==
          nullptr);
  testing::Synchronize();
  SharedVector<int64_t> starts(segments + 1, 0);
  for (int64_t s = 0; s < segments; ++s) starts[s + 1] = starts[s] + counts[s];
  REQUIRE(starts[segments] == static_cast<int64_t>(marked.size()));
  SharedVector<uint16_t> places(marked.size()), values(marked.size());
  REQUIRE(table.collect_marked({.bits = bits.data(),
                                .x = x.data(),
                                .n = n,
                                .starts = starts.data(),
                                .places = places.data(),
                                .values = values.data()},
                               on.stream) == nullptr);
  REQUIRE(table.place_marked({.x = copy.data(),
                              .n = n,
                              .starts = starts.data(),
                              .places = places.data(),
                              .values = values.data()},
                             on.stream) == nullptr);
  testing::Synchronize();
  int64_t wrong = 0;
  for (size_t k = 0; k < marked.size(); ++k)
    wrong += places[k] != marked[k] % kSegment || values[k] != x[marked[k]];
  for (int64_t i = 0; i < n; ++i) wrong += copy[i] != (i % every == 0 ? x[i] : 7);
  CHECK(wrong == 0);
}

TEST_CASE("a digest is the sum over words of eight bytes, whoever adds it up", "[kernels]") {
  const Table& table = *GENERATE(from_range(testing::Tables()));
  const int threads = GENERATE(1, 3);
  INFO(table.name << ", " << threads << " threads");
  const int64_t bytes = GENERATE(0, 1, 8, 12, 100003);
  const OpenStream on(table, threads);
  SharedVector<uint64_t> x(bytes / 8 + 1), out(1, 5);
  for (int64_t j = 0; j < static_cast<int64_t>(x.size()); ++j)
    x[j] = Mix(1, static_cast<uint64_t>(j));
  const auto digest = [&] {
    out[0] = 5;
    REQUIRE(table.digest({.x = x.data(), .bytes = bytes, .out = out.data()}, on.stream) == nullptr);
    testing::Synchronize();
    return out[0];
  };
  uint64_t want = 5;
  for (int64_t j = 0; 8 * j < bytes; ++j) {
    const int64_t left = bytes - 8 * j;
    want +=
        Mix(static_cast<uint64_t>(j), left >= 8 ? x[j] : x[j] & ((uint64_t{1} << 8 * left) - 1));
  }
  CHECK(digest() == want);
  if (bytes < 16) return;
  std::swap(x[0], x[1]);
  CHECK(digest() != want);
  std::swap(x[0], x[1]);
  x[bytes / 8 - 1] ^= uint64_t{1} << 63;
  CHECK(digest() != want);
}

// The finalizer of SplitMix64 of state 0 and the next: the generator's first outputs for seed 0, as
// published.
TEST_CASE("Mix gives SplitMix64's numbers", "[kernels]") {
  CHECK(Mix(0, 0) == 0xE220A8397B1DCDAF);
  CHECK(Mix(1, 0) == 0x6E789E6AA1B965F4);
  CHECK(Mix(2, 0) == 0x06C45D188009454F);
}

}  // namespace
}  // namespace hone::kernels
