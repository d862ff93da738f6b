#include "libs/reward/math/exact.h"

#include <flint/fmpq.h>
#include <flint/fmpz.h>
#include <flint/fmpz_mpoly.h>

#include <algorithm>
#include <numeric>

#include "absl/strings/numbers.h"
#include "libs/reward/math/flint_thread.h"

namespace hone::math {
namespace {

constexpr slong kMaxBits = 1 << 17;       // of a numerator or denominator
constexpr slong kMaxFactorial = 5000;
constexpr slong kMaxTerms = 1500;         // of a polynomial
constexpr slong kMaxProducts = 100000;    // term by term, of one multiplication

class Rational {
 public:
  Rational() { fmpq_init(v); }
  ~Rational() { fmpq_clear(v); }
  Rational(const Rational&) = delete;
  Rational& operator=(const Rational&) = delete;
  fmpq_t v;
};

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
          if (bits > kMaxBits || !budget_->Spend(bits / 4096)) return false;
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
    if (!budget_->Spend(bits * std::abs(e) / 4096)) return false;
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
      if (!SmallInteger(n[0], &k) || k < 0 || k > kMaxFactorial || !budget_->Spend(k / 8)) return false;
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
        if (Bits(out) > kMaxBits || !budget_->Spend(Bits(out) / 1024)) return false;
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

// The integers modulo a prime of 61 bits: where two quotients differ there, they differ.
constexpr uint64_t kPrime = (uint64_t{1} << 61) - 1;

__extension__ using Wide = unsigned __int128;

uint64_t Multiply(uint64_t a, uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  const uint64_t sum = static_cast<uint64_t>(product & kPrime) + static_cast<uint64_t>(product >> 61);
  return sum >= kPrime ? sum - kPrime : sum;
}
uint64_t Raise(uint64_t base, uint64_t exponent) {
  uint64_t result = 1;
  for (; exponent > 0; exponent >>= 1, base = Multiply(base, base))
    if (exponent & 1) result = Multiply(result, base);
  return result;
}

uint64_t HashName(absl::string_view name, uint64_t seed) {
  uint64_t h = 0x9e3779b97f4a7c15 * (seed + 1);
  for (unsigned char c : name) h = (h ^ c) * 0x100000001b3, h ^= h >> 29;
  h *= 0xbf58476d1ce4e5b9;
  return h ^ (h >> 32);
}

class ResidueEvaluator {
 public:
  ResidueEvaluator(uint64_t seed, Budget* budget) : seed_(seed), budget_(budget) {}

  bool Run(const Node& n, uint64_t* out) {
    if (!budget_->Spend(1)) return false;
    switch (n.kind) {
      case Kind::kNumber:
        return Number(n, out);
      case Kind::kSymbol:
        *out = HashName(n.text, seed_) % kPrime;
        return n.text != "...";
      case Kind::kSum:
      case Kind::kProduct: {
        *out = n.Is(Kind::kSum) ? 0 : 1;
        for (const Node& child : n.children) {
          uint64_t x;
          if (!Run(child, &x)) return false;
          *out = n.Is(Kind::kSum) ? (*out + x) % kPrime : Multiply(*out, x);
        }
        return true;
      }
      case Kind::kNegate:
        if (!Run(n[0], out)) return false;
        *out = *out == 0 ? 0 : kPrime - *out;
        return true;
      case Kind::kInverse:
        if (!Run(n[0], out) || *out == 0) return false;
        *out = Raise(*out, kPrime - 2);
        return true;
      case Kind::kPower: {
        const auto e = SmallFraction(n[1]);
        if (!e.has_value() || e->second != 1 || std::abs(e->first) > 100000 || !Run(n[0], out))
          return false;
        if (*out == 0) return e->first > 0;
        if (e->first < 0) *out = Raise(*out, kPrime - 2);
        *out = Raise(*out, static_cast<uint64_t>(std::abs(e->first)));
        return budget_->Spend(4);
      }
      default:
        return false;
    }
  }

 private:
  bool Number(const Node& n, uint64_t* out) {
    const auto [numerator, denominator] = NumberAsFraction(n);
    const uint64_t d = Residue(denominator);
    if (d == 0) return false;
    *out = d == 1 ? Residue(numerator) : Multiply(Residue(numerator), Raise(d, kPrime - 2));
    return budget_->Spend(static_cast<long>(numerator.size() / 64));
  }
  static uint64_t Residue(const std::string& digits) {
    uint64_t r = 0;
    for (char c : digits) r = (Multiply(r, 10) + static_cast<uint64_t>(c - '0')) % kPrime;
    return r;
  }

  const uint64_t seed_;
  Budget* budget_;
};

// A quotient of two polynomials, not in lowest terms.
class Quotient {
 public:
  explicit Quotient(const fmpz_mpoly_ctx_t context) : context_(context) {
    fmpz_mpoly_init(top, context_);
    fmpz_mpoly_init(bottom, context_);
    fmpz_mpoly_one(bottom, context_);
  }
  ~Quotient() {
    fmpz_mpoly_clear(top, context_);
    fmpz_mpoly_clear(bottom, context_);
  }
  Quotient(const Quotient&) = delete;
  Quotient& operator=(const Quotient&) = delete;
  fmpz_mpoly_t top, bottom;

 private:
  const fmpz_mpoly_ctx_struct* context_;
};

class QuotientEvaluator {
 public:
  QuotientEvaluator(const std::vector<std::string>& names, const fmpz_mpoly_ctx_t context,
                    Budget* budget)
      : names_(names), context_(context), budget_(budget) {}

  bool Run(const Node& n, Quotient* out) {
    if (!budget_->Spend(1)) return false;
    switch (n.kind) {
      case Kind::kNumber: {
        Rational x;
        if (!SetNumber(x.v, n)) return false;
        fmpz_mpoly_set_fmpz(out->top, fmpq_numref(x.v), context_);
        fmpz_mpoly_set_fmpz(out->bottom, fmpq_denref(x.v), context_);
        return true;
      }
      case Kind::kSymbol: {
        const auto it = std::lower_bound(names_.begin(), names_.end(), n.text);
        fmpz_mpoly_gen(out->top, it - names_.begin(), context_);
        return true;
      }
      case Kind::kSum:
      case Kind::kProduct: {
        if (!Run(n[0], out)) return false;
        for (size_t i = 1; i < n.children.size(); ++i) {
          Quotient x(context_);
          if (!Run(n[i], &x)) return false;
          if (!(n.Is(Kind::kSum) ? Add(out, x) : Multiply(out, x))) return false;
        }
        return true;
      }
      case Kind::kNegate:
        if (!Run(n[0], out)) return false;
        fmpz_mpoly_neg(out->top, out->top, context_);
        return true;
      case Kind::kInverse:
        if (!Run(n[0], out) || fmpz_mpoly_is_zero(out->top, context_)) return false;
        fmpz_mpoly_swap(out->top, out->bottom, context_);
        return true;
      case Kind::kPower: {
        const auto e = SmallFraction(n[1]);
        if (!e.has_value() || e->second != 1 || std::abs(e->first) > 64) return false;
        Quotient base(context_);
        if (!Run(n[0], &base)) return false;
        if (e->first < 0) {
          if (fmpz_mpoly_is_zero(base.top, context_)) return false;
          fmpz_mpoly_swap(base.top, base.bottom, context_);
        }
        fmpz_mpoly_one(out->top, context_);
        for (int64_t i = 0; i < std::abs(e->first); ++i)
          if (!Multiply(out, base)) return false;
        return true;
      }
      default:
        return false;
    }
  }

  // out = a * b, within limits.
  bool Times(fmpz_mpoly_t out, const fmpz_mpoly_t a, const fmpz_mpoly_t b) {
    const slong m = fmpz_mpoly_length(a, context_), n = fmpz_mpoly_length(b, context_);
    if (m * n > kMaxProducts || !budget_->Spend(m * n / 16)) return false;
    fmpz_mpoly_mul(out, a, b, context_);
    return fmpz_mpoly_length(out, context_) <= kMaxTerms &&
           std::abs(fmpz_mpoly_max_bits(out)) <= 4096;
  }

 private:
  bool Multiply(Quotient* a, const Quotient& b) {
    return Times(a->top, a->top, b.top) && Times(a->bottom, a->bottom, b.bottom);
  }
  bool Add(Quotient* a, const Quotient& b) {
    Quotient x(context_);
    if (!Times(x.top, a->top, b.bottom) || !Times(a->top, b.top, a->bottom) ||
        !Times(a->bottom, a->bottom, b.bottom))
      return false;
    fmpz_mpoly_add(a->top, a->top, x.top, context_);
    return true;
  }

  const std::vector<std::string>& names_;
  const fmpz_mpoly_ctx_struct* context_;
  Budget* budget_;
};

// Expands a.top * b.bottom == b.top * a.bottom; false where that is too large.
bool Prove(const Node& a, const Node& b, Budget* budget) {
  std::vector<std::string> names = Symbols(a);
  for (const std::string& name : Symbols(b)) names.push_back(name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.empty() || names.size() > 8) return false;
  fmpz_mpoly_ctx_t context;
  fmpz_mpoly_ctx_init(context, static_cast<slong>(names.size()), ORD_LEX);
  bool proved = false;
  {
    QuotientEvaluator evaluator(names, context, budget);
    Quotient x(context), y(context);
    if (evaluator.Run(a, &x) && evaluator.Run(b, &y) &&
        evaluator.Times(x.top, x.top, y.bottom) && evaluator.Times(y.top, y.top, x.bottom))
      proved = fmpz_mpoly_equal(x.top, y.top, context) != 0;
  }
  fmpz_mpoly_ctx_clear(context);
  return proved;
}

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

Match SameQuotient(const Node& a, const Node& b, Budget* budget) {
  for (uint64_t seed = 0; seed < 2; ++seed) {
    ResidueEvaluator evaluator(seed, budget);
    uint64_t x, y;
    if (!evaluator.Run(a, &x) || !evaluator.Run(b, &y)) return Match::kUndefined;
    if (x != y) return Match::kUnequal;
  }
  EnterFlint();
  return Prove(a, b, budget) ? Match::kProved : Match::kNumeric;
}

}  // namespace hone::math
