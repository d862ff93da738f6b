#include "libs/reward/math/exact.h"

#include <flint/fmpq.h>
#include <flint/fmpz.h>

#include <algorithm>
#include <numeric>

#include "absl/strings/numbers.h"
#include "libs/reward/math/flint_thread.h"

namespace hone::math {
namespace {

constexpr slong kMaxBits = 1 << 17;  // of a numerator or denominator
constexpr slong kMaxFactorial = 5000;

class Rational {
 public:
  Rational() { fmpq_init(v); }
  ~Rational() { fmpq_clear(v); }
  Rational(const Rational&) = delete;
  Rational& operator=(const Rational&) = delete;
  fmpq_t v;
};

// Steps for arithmetic, with its greatest common divisors, of numbers of that size.
long Cost(slong bits) {
  return bits / 4096 + bits / 4096 * (bits / 4096);
}

slong Bits(const fmpq_t x) {
  return static_cast<slong>(fmpz_bits(fmpq_numref(x)) + fmpz_bits(fmpq_denref(x)));
}

bool SetNumber(fmpq_t out, const Node& node) {
  int64_t small;
  if (node.count == 0 && node.text.size() <= 18 && absl::SimpleAtoi(node.text, &small)) {
    fmpq_set_si(out, small, 1);
    return true;
  }
  const auto [numerator, denominator] = NumberAsFraction(node);
  if (fmpz_set_str(fmpq_numref(out), numerator.c_str(), 10) != 0 ||
      fmpz_set_str(fmpq_denref(out), denominator.c_str(), 10) != 0 ||
      fmpz_is_zero(fmpq_denref(out)))
    return false;
  fmpq_canonicalise(out);
  return true;
}

class RationalEvaluator {
 public:
  explicit RationalEvaluator(Budget* budget) : budget_(budget) {}

  bool Run(const Node& n, fmpq_t out) {
    if (!budget_->Spend(1)) return false;
    switch (n.kind) {
      case Kind::kNumber:
        return SetNumber(out, n);
      case Kind::kSum:
      case Kind::kProduct: {
        Rational x;
        if (!Run(n[0], out)) return false;
        for (size_t i = 1; i < n.children.size(); ++i) {
          if (!Run(n[i], x.v)) return false;
          n.Is(Kind::kSum) ? fmpq_add(out, out, x.v) : fmpq_mul(out, out, x.v);
          const slong bits = Bits(out);
          if (bits > kMaxBits || !budget_->Spend(Cost(bits))) return false;
        }
        return true;
      }
      case Kind::kNegate:
        if (!Run(n[0], out)) return false;
        fmpq_neg(out, out);
        return true;
      case Kind::kInverse:
        if (!Run(n[0], out) || fmpq_is_zero(out)) return false;
        fmpq_inv(out, out);
        return true;
      case Kind::kPercent:
        if (!Run(n[0], out)) return false;
        fmpq_div_fmpz(out, out, Hundred());
        return true;
      case Kind::kDegree:
        return Run(n[0], out);
      case Kind::kPower:
        return Power(n, out);
      case Kind::kCall:
        return Call(n, out);
      default:
        return false;
    }
  }

 private:
  static const fmpz* Hundred() {
    static const fmpz hundred = 100;
    return &hundred;
  }

  bool Power(const Node& n, fmpq_t out) {
    Rational exponent;
    if (!Run(n[1], exponent.v) || !Run(n[0], out)) return false;
    if (!fmpz_is_one(fmpq_denref(exponent.v)) || !fmpz_fits_si(fmpq_numref(exponent.v)))
      return false;
    const slong e = fmpz_get_si(fmpq_numref(exponent.v));
    if (fmpq_is_zero(out)) {
      if (e <= 0) return false;
      return true;
    }
    // 1^n and (-1)^n have no size.
    const slong bits = Bits(out) > 2 ? Bits(out) : 0;
    if (e > kMaxBits || e < -kMaxBits || bits * std::abs(e) > kMaxBits) return false;
    if (!budget_->Spend(Cost(bits * std::abs(e)))) return false;
    fmpq_pow_si(out, out, e);
    return true;
  }

  bool Call(const Node& n, fmpq_t out) {
    if (n.text == "sqrt" && n.children.size() == 1) {
      if (!Run(n[0], out) || fmpq_sgn(out) < 0) return false;
      if (!fmpz_is_square(fmpq_numref(out)) || !fmpz_is_square(fmpq_denref(out))) return false;
      fmpz_sqrt(fmpq_numref(out), fmpq_numref(out));
      fmpz_sqrt(fmpq_denref(out), fmpq_denref(out));
      return true;
    }
    if (n.text == "abs" && n.children.size() == 1) {
      if (!Run(n[0], out)) return false;
      fmpq_abs(out, out);
      return true;
    }
    if ((n.text == "floor" || n.text == "ceil") && n.children.size() == 1) {
      if (!Run(n[0], out)) return false;
      Rational x;
      if (n.text == "floor")
        fmpz_fdiv_q(fmpq_numref(x.v), fmpq_numref(out), fmpq_denref(out));
      else
        fmpz_cdiv_q(fmpq_numref(x.v), fmpq_numref(out), fmpq_denref(out));
      fmpq_set(out, x.v);
      return true;
    }
    if (n.text == "factorial") {
      slong k = 0;
      if (!SmallInteger(n[0], &k) || k < 0 || k > kMaxFactorial || !budget_->Spend(k / 8))
        return false;
      fmpz_fac_ui(fmpq_numref(out), k);
      fmpz_one(fmpq_denref(out));
      return true;
    }
    if (n.text == "binomial") {
      slong a = 0, b = 0;
      if (!SmallInteger(n[0], &a) || !SmallInteger(n[1], &b)) return false;
      if (a < 0 || b < 0 || a > kMaxFactorial || b > a || !budget_->Spend(a / 8)) return false;
      fmpz_bin_uiui(fmpq_numref(out), a, b);
      fmpz_one(fmpq_denref(out));
      return true;
    }
    if ((n.text == "max" || n.text == "min" || n.text == "gcd" || n.text == "lcm" ||
         n.text == "mod") &&
        !n.children.empty()) {
      if (!Run(n[0], out)) return false;
      Rational x;
      for (size_t i = 1; i < n.children.size(); ++i) {
        if (!Run(n[i], x.v)) return false;
        if (n.text == "max" || n.text == "min") {
          if ((fmpq_cmp(x.v, out) > 0) == (n.text == "max")) fmpq_set(out, x.v);
          continue;
        }
        if (!fmpz_is_one(fmpq_denref(out)) || !fmpz_is_one(fmpq_denref(x.v))) return false;
        if (n.text == "mod") {
          if (fmpq_is_zero(x.v)) return false;
          fmpz_fdiv_r(fmpq_numref(out), fmpq_numref(out), fmpq_numref(x.v));
        } else if (n.text == "gcd") {
          fmpz_gcd(fmpq_numref(out), fmpq_numref(out), fmpq_numref(x.v));
        } else {
          fmpz_lcm(fmpq_numref(out), fmpq_numref(out), fmpq_numref(x.v));
        }
        if (Bits(out) > kMaxBits || !budget_->Spend(Cost(Bits(out)))) return false;
      }
      return true;
    }
    return false;
  }

  bool SmallInteger(const Node& n, slong* out) {
    Rational x;
    if (!Run(n, x.v) || !fmpz_is_one(fmpq_denref(x.v)) || !fmpz_fits_si(fmpq_numref(x.v)))
      return false;
    *out = fmpz_get_si(fmpq_numref(x.v));
    return true;
  }

  Budget* budget_;
};

}  // namespace

std::pair<std::string, std::string> NumberAsFraction(const Node& number) {
  const size_t point = number.text.find('.');
  if (point == number.text.npos) return {number.text, "1"};
  std::string digits = number.text;
  digits.erase(point, 1);
  const size_t places = number.text.size() - point - 1, repeat = static_cast<size_t>(number.count);
  if (digits.empty()) digits = "0";
  if (repeat == 0) return {digits, "1" + std::string(places, '0')};
  // 0.3562535...: (digits - those before the period) / (99 * 1000).
  const std::string before = digits.substr(0, digits.size() - repeat);
  std::string difference = digits;
  int borrow = 0;
  for (size_t i = 0; i < difference.size(); ++i) {
    const size_t at = difference.size() - 1 - i;
    int d = difference[at] - '0' - borrow;
    if (i < before.size()) d -= before[before.size() - 1 - i] - '0';
    borrow = d < 0;
    difference[at] = static_cast<char>('0' + d + 10 * borrow);
  }
  return {difference, std::string(repeat, '9') + std::string(places - repeat, '0')};
}

std::optional<std::pair<int64_t, int64_t>> SmallFraction(const Node& node) {
  switch (node.kind) {
    case Kind::kNumber: {
      const auto [a, b] = NumberAsFraction(node);
      int64_t x, y;
      if (a.size() > 9 || b.size() > 9 || !absl::SimpleAtoi(a, &x) || !absl::SimpleAtoi(b, &y) ||
          y == 0)
        return std::nullopt;
      const int64_t divisor = std::gcd(x, y);
      return std::pair(x / divisor, y / divisor);
    }
    case Kind::kNegate: {
      const auto x = SmallFraction(node[0]);
      if (!x.has_value()) return std::nullopt;
      return std::pair(-x->first, x->second);
    }
    case Kind::kInverse: {
      const auto x = SmallFraction(node[0]);
      if (!x.has_value() || x->first == 0) return std::nullopt;
      return x->first < 0 ? std::pair(-x->second, -x->first) : std::pair(x->second, x->first);
    }
    case Kind::kProduct: {
      if (node.children.size() != 2) return std::nullopt;
      const auto x = SmallFraction(node[0]), y = SmallFraction(node[1]);
      if (!x.has_value() || !y.has_value()) return std::nullopt;
      const int64_t a = x->first * y->first, b = x->second * y->second;
      const int64_t divisor = std::gcd(a, b);
      if (std::abs(a / divisor) > 1000000000 || b / divisor > 1000000000) return std::nullopt;
      return std::pair(a / divisor, b / divisor);
    }
    default:
      return std::nullopt;
  }
}

std::optional<bool> SameRational(const Node& a, const Node& b, Budget* budget) {
  EnterFlint();
  Rational x, y;
  RationalEvaluator evaluator(budget);
  if (!evaluator.Run(a, x.v) || !evaluator.Run(b, y.v)) return std::nullopt;
  return fmpq_equal(x.v, y.v) != 0;
}

}  // namespace hone::math
