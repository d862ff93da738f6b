#include "libs/base/random.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "tests/testing/test.h"

namespace hone {
namespace {

TEST_CASE("Philox gives the published vectors", "[base]") {
  // kat_vectors of the Random123 distribution: philox4x32, 10 rounds.
  CHECK(Philox4x32({0, 0}, {0, 0, 0, 0}) ==
        PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr uint32_t kOnes = 0xffffffff;
  CHECK(Philox4x32({kOnes, kOnes}, {kOnes, kOnes, kOnes, kOnes}) ==
        PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Philox4x32({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
        PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  static_assert(Philox4x32({0, 0}, {0, 0, 0, 0})[0] == 0x6627e8d5, "usable at compile time");
}

TEST_CASE("Uniform numbers lie in (0, 1]", "[base]") {
  CHECK(UniformFloat(0) == 0x1p-24f);
  CHECK(UniformFloat(0xffffffff) == 1.0f);
  CHECK(UniformDouble(0) == 0x1p-53);
  CHECK(UniformDouble(~uint64_t{0}) == 1.0);
}

TEST_CASE("A stream reads its key's blocks in order and can go back", "[base]") {
  RandomStream stream(KeyFromSeed(0x299f31d0a4093822));
  std::vector<uint32_t> words;
  for (int i = 0; i < 10; ++i) words.push_back(stream.Next32());
  for (uint32_t i = 0; i < 10; ++i)
    CHECK(words[i] == Philox4x32({0xa4093822, 0x299f31d0}, {i / 4, 0, 0, 0})[i % 4]);
  CHECK(stream.position() == 10);
  stream.Seek(3);
  CHECK(stream.Next32() == words[3]);
  RandomStream copy = stream;
  CHECK(copy.Next64() == stream.Next64());
}

TEST_CASE("Derived keys differ for every number and name", "[base]") {
  const PhiloxKey root = KeyFromSeed(1);
  std::set<PhiloxKey> keys{root};
  for (uint64_t a = 0; a < 20; ++a)
    for (uint64_t b = 0; b < 20; ++b) keys.insert(DeriveKey(root, a, b));
  for (absl::string_view name : {"", "a", "b", "ab", "data order", "data order of stage 2"})
    keys.insert(DeriveKey(root, name));
  keys.insert(DeriveKey(root, absl::string_view("\0", 1)));
  CHECK(keys.size() == 1 + 400 + 7);
  // Written down, because checkpoints and golden files depend on it.
  CHECK(DeriveKey(root, 2, 3) == PhiloxKey{0xf045e74a, 0x517630e6});
  CHECK(DeriveKey(root, "data order") == PhiloxKey{0x78d59c8e, 0x4705b300});
}

TEST_CASE("Below is fair", "[base]") {
  RandomStream stream(uint64_t{7});
  constexpr int kSides = 6, kThrows = 60000;
  std::vector<int> counts(kSides);
  for (int i = 0; i < kThrows; ++i) ++counts[stream.Below(kSides)];
  double chi2 = 0;
  for (int n : counts)
    chi2 += (n - kThrows / kSides) * (n - kThrows / kSides) / (double{kThrows} / kSides);
  CHECK(chi2 < 20.5);  // 5 degrees of freedom: p = 0.001.
  CHECK(stream.Below(1) == 0);
  // A bound for which plain reduction would favour the low half two to one.
  const uint64_t n = (uint64_t{1} << 63) + (uint64_t{1} << 62);
  int low = 0;
  for (int i = 0; i < 3000; ++i) low += stream.Below(n) < n / 3 ? 1 : 0;
  CHECK(std::abs(low - 1000) < 120);
}

TEST_CASE("Normal numbers have mean 0 and variance 1", "[base]") {
  RandomStream stream(uint64_t{11});
  constexpr int kN = 100000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kN; ++i) {
    const double x = stream.Normal();
    sum += x, squares += x * x, fourth += x * x * x * x;
  }
  CHECK(std::abs(sum / kN) < 0.013);
  CHECK(std::abs(squares / kN - 1) < 0.02);
  CHECK(std::abs(fourth / kN - 3) < 0.15);
}

TEST_CASE("A permutation hits every element once", "[base]") {
  for (uint64_t n : {1, 2, 3, 4, 5, 7, 16, 17, 100, 1000, 4097}) {
    for (uint64_t seed : {0, 1, 99}) {
      const Permutation permutation(KeyFromSeed(seed), n);
      std::vector<bool> hit(n);
      for (uint64_t i = 0; i < n; ++i) {
        const uint64_t at = permutation.At(i);
        REQUIRE(at < n);
        REQUIRE_FALSE(hit[at]);
        hit[at] = true;
      }
    }
  }
}

TEST_CASE("A permutation is uniform over orders and large n", "[base]") {
  // All 24 orders of 4 elements over many keys.
  std::map<std::vector<uint64_t>, int> orders;
  for (uint64_t seed = 0; seed < 24000; ++seed) {
    const Permutation permutation(KeyFromSeed(seed), 4);
    ++orders[{permutation.At(0), permutation.At(1), permutation.At(2), permutation.At(3)}];
  }
  // A Feistel network on 4 bits or fewer gives even permutations more often than odd ones or the
  // reverse, never none: each order has to appear, within a factor of two of its share.
  CHECK(orders.size() == 24);
  for (const auto& [order, n] : orders) CHECK((n > 500 && n < 2000));

  const uint64_t huge = (uint64_t{1} << 62) - 12345;
  const Permutation permutation(KeyFromSeed(5), huge);
  double mean = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    const uint64_t at = permutation.At(i * (huge / 4000));
    REQUIRE(at < huge);
    mean += static_cast<double>(at) / static_cast<double>(huge) / 4000;
  }
  CHECK(std::abs(mean - 0.5) < 0.02);
}

TEST_CASE("Shuffle keeps the elements and depends on the stream only", "[base]") {
  std::vector<int> a(50), b(50);
  for (int i = 0; i < 50; ++i) a[i] = b[i] = i;
  RandomStream first(uint64_t{3}), second(uint64_t{3});
  Shuffle(first, a);
  Shuffle(second, b);
  CHECK(a == b);
  CHECK_FALSE(std::is_sorted(a.begin(), a.end()));
  std::sort(a.begin(), a.end());
  for (int i = 0; i < 50; ++i) CHECK(a[i] == i);
}

}  // namespace
}  // namespace hone
