#include "libs/reward/math/rational.h"

#include <algorithm>

namespace hone::math {
namespace {
constexpr uint64_t kBase = 1'000'000'000;
constexpr size_t kDigits = 9;
}  // namespace

Natural Natural::FromDigits(absl::string_view digits) {
  Natural result;
  for (size_t end = digits.size(); end > 0;) {
    const size_t begin = end > kDigits ? end - kDigits : 0;
    uint32_t limb = 0;
    for (size_t i = begin; i < end; ++i) limb = limb * 10 + static_cast<uint32_t>(digits[i] - '0');
    result.limbs_.push_back(limb);
    end = begin;
  }
  result.Trim();
  return result;
}

Natural Natural::PowerOfTen(int exponent) {
  Natural result;
  const size_t e = static_cast<size_t>(exponent);
  result.limbs_.assign(e / kDigits, 0);
  uint32_t top = 1;
  for (size_t i = 0; i < e % kDigits; ++i) top *= 10;
  result.limbs_.push_back(top);
  return result;
}

Natural Natural::operator+(const Natural& other) const {
  Natural sum;
  uint64_t carry = 0;
  for (size_t i = 0; i < std::max(limbs_.size(), other.limbs_.size()) || carry != 0; ++i) {
    if (i < limbs_.size()) carry += limbs_[i];
    if (i < other.limbs_.size()) carry += other.limbs_[i];
    sum.limbs_.push_back(static_cast<uint32_t>(carry % kBase));
    carry /= kBase;
  }
  return sum;
}

Natural Natural::operator*(const Natural& other) const {
  Natural product;
  product.limbs_.assign(limbs_.size() + other.limbs_.size(), 0);
  for (size_t i = 0; i < limbs_.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < other.limbs_.size() || carry != 0; ++j) {
      carry += product.limbs_[i + j];
      if (j < other.limbs_.size()) carry += uint64_t{limbs_[i]} * other.limbs_[j];
      product.limbs_[i + j] = static_cast<uint32_t>(carry % kBase);
      carry /= kBase;
    }
  }
  product.Trim();
  return product;
}

void Natural::Trim() {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
}

bool Rational::operator==(const Rational& other) const {
  if (numerator.IsZero() || other.numerator.IsZero())
    return numerator.IsZero() && other.numerator.IsZero();
  return negative == other.negative &&
         numerator * other.denominator == other.numerator * denominator;
}

Rational operator*(const Rational& a, const Rational& b) {
  return {a.negative != b.negative, a.numerator * b.numerator, a.denominator * b.denominator};
}

Rational operator/(const Rational& a, const Rational& b) {
  return {a.negative != b.negative, a.numerator * b.denominator, a.denominator * b.numerator};
}

Rational AddMagnitudes(const Rational& a, const Rational& b) {
  return {false, a.numerator * b.denominator + b.numerator * a.denominator,
          a.denominator * b.denominator};
}

}  // namespace hone::math
