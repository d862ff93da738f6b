#include "libs/reward/math/rational.h"

#include <random>

#include "tests/testing/test.h"

namespace hone::math {
namespace {

Natural N(const std::string& digits) {
  return Natural::FromDigits(digits);
}

TEST_CASE("naturals of any length add and multiply", "[reward]") {
  CHECK(N("") == N("0"));
  CHECK(N("000").IsZero());
  CHECK(N("0000000000000000000012") == N("12"));
  CHECK(N("999999999") + N("1") == N("1000000000"));
  CHECK(N("999999999999999999999999999") + N("1") == N("1000000000000000000000000000"));
  CHECK(N("123456789012345678901234567890") * N("987654321098765432109876543210") ==
        N("121932631137021795226185032733622923332237463801111263526900"));
  CHECK((N("123456789123456789") * N("0")).IsZero());
  CHECK(Natural::PowerOfTen(0) == N("1"));
  CHECK(Natural::PowerOfTen(23) == N("100000000000000000000000"));
  CHECK_FALSE(N("1000000000") == N("1"));
}

TEST_CASE("naturals agree with machine integers", "[reward]") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const uint64_t a = random() >> (32 + i % 31), b = random() >> (33 + i % 29);
    CHECK(N(std::to_string(a)) * N(std::to_string(b)) == N(std::to_string(a * b)));
    CHECK(N(std::to_string(a)) + N(std::to_string(b)) == N(std::to_string(a + b)));
  }
}

TEST_CASE("rationals compare without lowest terms, and zero has no sign", "[reward]") {
  const Rational half{false, N("1"), N("2")}, two_fourths{false, N("2"), N("4")};
  const Rational minus_half{true, N("1"), N("2")};
  CHECK(half == two_fourths);
  CHECK_FALSE(half == minus_half);
  CHECK(Rational{true, N("0"), N("3")} == Rational{false, N("0"), N("5")});
  CHECK(AddMagnitudes(half, two_fourths) == Rational{false, N("1"), N("1")});
  CHECK(half / minus_half == Rational{true, N("1"), N("1")});
  CHECK(minus_half * minus_half == Rational{false, N("1"), N("4")});
}

}  // namespace
}  // namespace hone::math
