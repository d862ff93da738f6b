// Quotients of polynomials: first modulo a prime at random points, then expanded.

#include <flint/fmpz.h>
#include <flint/fmpz_mpoly.h>

#include <algorithm>

#include "libs/reward/math/exact.h"
#include "libs/reward/math/flint_thread.h"

namespace hone::math {
namespace {

constexpr slong kMaxTerms = 1500;      // of a polynomial
constexpr slong kMaxProducts = 20000;  // term by term, of one multiplication

// The integers modulo a prime of 61 bits: where two quotients differ there, they differ.
constexpr uint64_t kPrime = (uint64_t{1} << 61) - 1;

__extension__ using Wide = unsigned __int128;

uint64_t Multiply(uint64_t a, uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  const uint64_t sum =
      static_cast<uint64_t>(product & kPrime) + static_cast<uint64_t>(product >> 61);
  return sum >= kPrime ? sum - kPrime : sum;
}
uint64_t Raise(uint64_t base, uint64_t exponent) {
  uint64_t result = 1;
  for (; exponent > 0; exponent >>= 1, base = Multiply(base, base))
    if (exponent & 1) result = Multiply(result, base);
  return result;
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
        *out = HashOfName(n.text, seed_) % kPrime;
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
        const auto [numerator, denominator] = NumberAsFraction(n);
        if (numerator.size() > 100 || denominator.size() > 100) return false;
        fmpz_t x;
        fmpz_init(x);
        fmpz_set_str(x, numerator.c_str(), 10);
        fmpz_mpoly_set_fmpz(out->top, x, context_);
        fmpz_set_str(x, denominator.c_str(), 10);
        fmpz_mpoly_set_fmpz(out->bottom, x, context_);
        fmpz_clear(x);
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
    if (m * n > kMaxProducts || !budget_->Spend(m * n / 4)) return false;
    fmpz_mpoly_mul(out, a, b, context_);
    return fmpz_mpoly_length(out, context_) <= kMaxTerms &&
           std::abs(fmpz_mpoly_max_bits(out)) <= 1024;
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
    if (evaluator.Run(a, &x) && evaluator.Run(b, &y) && evaluator.Times(x.top, x.top, y.bottom) &&
        evaluator.Times(y.top, y.top, x.bottom))
      proved = fmpz_mpoly_equal(x.top, y.top, context) != 0;
  }
  fmpz_mpoly_ctx_clear(context);
  return proved;
}

}  // namespace

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
