#include "libs/train/pass_at_k.h"

#include <bit>

#include "tests/train/golden.h"

namespace hone {
namespace {

using testing::Near;

TEST_CASE("pass@k equals counting all subsets", "[train]") {
  for (int n = 1; n <= 8; ++n) {
    for (int c = 0; c <= n; ++c) {
      for (int k = 1; k <= n; ++k) {
        int subsets = 0, hits = 0;
        for (unsigned s = 0; s < (1u << n); ++s) {
          if (std::popcount(s) != k) continue;
          ++subsets;
          hits += (s & ((1u << c) - 1)) != 0;  // the first c completions are correct
        }
        CAPTURE(n, c, k);
        CHECK(Near(PassAtK(n, c, k), static_cast<double>(hits) / subsets));
      }
    }
  }
}

TEST_CASE("pass@1 is the mean and large n does not overflow", "[train]") {
  CHECK(Near(PassAtK(100000, 25000, 1), 0.25));
  CHECK(PassAtK(100000, 1, 100000) == 1);
  CHECK(PassAtK(100000, 0, 64) == 0);
}

TEST_CASE("tied answers share the point and no answer never wins", "[train]") {
  const auto vote = [](std::vector<int> answer, std::vector<uint8_t> correct) {
    return MajorityAtK(answer, correct);
  };
  CHECK(vote({1, 1, 2}, {1, 1, 0}) == 1);
  CHECK(vote({1, 1, 2}, {0, 0, 1}) == 0);
  CHECK(vote({1, 2}, {1, 0}) == 0.5);
  CHECK(vote({1, 2, 3}, {0, 1, 0}) == Approx(1.0 / 3));
  CHECK(vote({-1, -1, -1, 4}, {0, 0, 0, 1}) == 1);
  CHECK(vote({-1, -1}, {0, 0}) == 0);
  CHECK(vote({}, {}) == 0);
}

TEST_CASE("mean pass@1 comes with its sampling error", "[train]") {
  const std::vector<int64_t> correct{4, 0, 2};
  const MeanAtK m = MeanPassAtOne(correct, 4);
  CHECK(Near(m.mean, 0.5));
  CHECK(Near(m.standard_error, std::sqrt(0.25 / 4) / 3));
  CHECK(MeanPassAtOne({}, 4).mean == 0);
}

}  // namespace
}  // namespace hone
