// Accuracy of the vector functions; compiled for AVX2, whose bits the op cases compare with
// AVX-512's.

#include "kernels/cpu/simd.h"

#include <cmath>
#include <limits>

#include "tests/testing/test.h"

namespace hone::kernels::cpu::v3 {
namespace {

// Error of `got` in units of the last place of `want`.
double Ulps(float got, double want) {
  int exponent;
  std::frexp(want, &exponent);
  return std::abs(got - want) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

TEST_CASE("exp is within 2 ulp, with its edges where they belong", "[kernels]") {
  double worst = 0;
  for (int i = -872000; i <= 887000; ++i) {
    const float x = static_cast<float>(i) * 1e-4f;
    worst = std::max(worst, Ulps(Exp(x), std::exp(double{x})));
  }
  CHECK(worst < 2);
  CHECK(Exp(0.0f) == 1);
  CHECK(Exp(-88.0f) == 0);
  CHECK(Exp(-std::numeric_limits<float>::infinity()) == 0);
  CHECK(std::isinf(Exp(89.0f)));
  CHECK(std::isinf(Exp(std::numeric_limits<float>::infinity())));
  CHECK(std::isnan(Exp(std::nanf(""))));
}

TEST_CASE("log is within 2 ulp", "[kernels]") {
  double worst = 0;
  for (float x = 1.2e-38f; x < 3e38f; x *= 1.0001f)
    worst = std::max(worst, Ulps(Log(x), std::log(double{x})));
  for (int i = 1; i < 100000; ++i) {  // around one, where the result is small
    const float x = 0.9f + static_cast<float>(i) * 2e-6f;
    if (x != 1) worst = std::max(worst, Ulps(Log(x), std::log(double{x})));
  }
  CHECK(worst < 2);
  CHECK(Log(1.0f) == 0);
}

TEST_CASE("stores to bf16 round to nearest even and keep NaN", "[kernels]") {
  const auto round = [](uint32_t bits) {
    float f[16];
    BF16 one, all[16];
    std::memcpy(f, &bits, 4);
    for (int i = 1; i < 16; ++i) f[i] = 0;
    Store(all, Load(f));
    Put(&one, f[0]);
    CHECK(one.bits == all[0].bits);
    return all[0].bits;
  };
  CHECK(round(0x3f800000) == 0x3f80);
  CHECK(round(0x3f808000) == 0x3f80);  // tie to even, down
  CHECK(round(0x3f818000) == 0x3f82);  // tie to even, up
  CHECK(round(0x3f808001) == 0x3f81);
  CHECK(round(0x7f7fffff) == 0x7f80);  // overflows to infinity
  CHECK(round(0x7f800000) == 0x7f80);
  CHECK((round(0x7f800001) & 0x7fff) > 0x7f80);
  CHECK((round(0xffffffff) & 0x7fff) > 0x7f80);
  CHECK(round(0x00008001) == 0x0001);  // subnormal
}

TEST_CASE("a block transposes", "[kernels]") {
  Vec r[16];
  for (int i = 0; i < 16; ++i) {
    float row[16];
    for (int j = 0; j < 16; ++j) row[j] = static_cast<float>(16 * i + j);
    r[i] = Load(row);
  }
  Transpose16(r);
  for (int i = 0; i < 16; ++i) {
    float row[16];
    Store(row, r[i]);
    for (int j = 0; j < 16; ++j) CHECK(row[j] == static_cast<float>(16 * j + i));
  }
}

}  // namespace
}  // namespace hone::kernels::cpu::v3
