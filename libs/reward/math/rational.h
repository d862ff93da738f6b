#pragma once

// Exact numbers as written in an answer. Just what comparing two of them takes: no number in an
// answer is rounded, however long. (Small on purpose: the symbolic checker will bring FLINT with
// it.)

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone::math {

// An unsigned integer of any size.
class Natural {
 public:
  Natural() = default;                                  // 0
  static Natural FromDigits(absl::string_view digits);  // '0' to '9' only; empty is 0
  static Natural PowerOfTen(int exponent);              // exponent >= 0

  bool IsZero() const { return limbs_.empty(); }
  bool operator==(const Natural& other) const { return limbs_ == other.limbs_; }
  Natural operator+(const Natural& other) const;
  Natural operator*(const Natural& other) const;

 private:
  void Trim();
  std::vector<uint32_t> limbs_;  // base 1e9, lowest first, highest not 0
};

// A fraction, not in lowest terms. The denominator is never 0; that is for the caller to see to.
struct Rational {
  bool negative = false;
  Natural numerator;
  Natural denominator = Natural::FromDigits("1");

  bool operator==(const Rational& other) const;
};

Rational operator*(const Rational& a, const Rational& b);
Rational operator/(const Rational& a, const Rational& b);  // b is not 0
// Both >= 0.
Rational AddMagnitudes(const Rational& a, const Rational& b);

}  // namespace hone::math
