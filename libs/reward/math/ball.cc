#include "libs/reward/math/ball.h"

#include <algorithm>

#include "libs/reward/math/ball_evaluator.h"
#include "libs/reward/math/calcium_proof.h"
#include "libs/reward/math/flint_thread.h"

namespace hone::math {
namespace {

constexpr slong kFirstBits = 64, kProofBits = 256, kLastBits = 2048;
constexpr slong kPointBits = 128;
constexpr int kPoints = 10;

// Functions whose identities hold for natural numbers.
bool NeedsNaturals(const Node& n) {
  if (n.Is(Kind::kCall) &&
      (n.text == "floor" || n.text == "ceil" || n.text == "mod" || n.text == "gcd" ||
       n.text == "lcm" || n.text == "factorial" || n.text == "binomial") &&
      !Symbols(n).empty())
    return true;
  // (-1)^n
  if (n.Is(Kind::kPower) && n[0].Is(Kind::kNegate) && !Symbols(n[1]).empty()) return true;
  return std::any_of(n.children.begin(), n.children.end(), NeedsNaturals);
}

std::vector<std::string> AllSymbols(const Node& a, const Node& b) {
  std::vector<std::string> names = Symbols(a);
  for (std::string& name : Symbols(b)) names.push_back(std::move(name));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Point MakePoint(const std::vector<std::string>& names, int index, bool naturals) {
  Point point;
  for (const std::string& name : names) {
    const uint64_t h = HashOfName(name, static_cast<uint64_t>(index) + 1);
    long a, b = 1;
    if (naturals) {
      a = static_cast<long>(h % 23) + 3;
    } else {
      b = static_cast<long>(h % 29) + 7;
      a = static_cast<long>((h >> 8) % 97) + 1;
      if (index % 2 == 0) a = a % b + (a % b == 0);  // below 1: the domain of arcsin and the like
      if (index >= kPoints - 4 && ((h >> 20) & 1)) a = -a;
    }
    point.values.push_back({name, {a, b}});
  }
  return point;
}

bool Accurate(const acb_t x) {
  return acb_rel_accuracy_bits(x) > 40 || (mag_cmp_2exp_si(arb_radref(acb_realref(x)), -60) < 0 &&
                                           mag_cmp_2exp_si(arb_radref(acb_imagref(x)), -60) < 0);
}

// Whether |x - y| is at most 2^-256 of x, or of 1 where x is smaller.
bool CloseTogether(const acb_t x, const acb_t y, slong bits) {
  Ball difference;
  acb_sub(difference.v, x, y, bits);
  mag_t distance, size;
  mag_init(distance);
  mag_init(size);
  acb_get_mag(distance, difference.v);
  acb_get_mag(size, x);
  mag_mul_2exp_si(size, size, -kProofBits);
  const bool close = mag_cmp_2exp_si(distance, -kProofBits) <= 0 || mag_cmp(distance, size) <= 0;
  mag_clear(distance);
  mag_clear(size);
  return close;
}

// Both at `point`. kUndefined: one has no value, or both have one and no more precision helps.
enum class At { kDiffer, kAgree, kUndefined, kOnBranch };

At Compare(const Node& a, const Node& b, const Point& point, Logarithm logarithm, Budget* budget) {
  for (slong bits = kPointBits; bits <= 4 * kPointBits; bits *= 4) {
    Ball x, y;
    BallEvaluator evaluator(bits, &point, logarithm, budget);
    if (!evaluator.Run(a, x.v) || !evaluator.Run(b, y.v)) return At::kUndefined;
    if (!acb_overlaps(x.v, y.v)) return evaluator.branched() ? At::kOnBranch : At::kDiffer;
    if (Accurate(x.v) && Accurate(y.v)) return evaluator.branched() ? At::kOnBranch : At::kAgree;
  }
  return At::kUndefined;
}

}  // namespace

Match SameConstant(const Node& a, const Node& b, Logarithm logarithm, Budget* budget) {
  EnterFlint();
  bool defined = false;
  for (slong bits = kFirstBits; bits <= kLastBits; bits *= 2) {
    Ball x, y;
    BallEvaluator evaluator(bits, nullptr, logarithm, budget);
    defined = evaluator.Run(a, x.v) && evaluator.Run(b, y.v);
    if (budget->spent()) return Match::kBudget;
    if (!defined) {
      // More bits may tell a divisor from 0; a factorial of 10^100 stays too large.
      if (bits >= kProofBits) return Match::kUndefined;
      continue;
    }
    if (!acb_overlaps(x.v, y.v)) return Match::kUnequal;
    // Bounds too wide to say anything, as of sin(10^1000), are no equality.
    if (bits == kLastBits && !CloseTogether(x.v, y.v, bits)) return Match::kBudget;
    if (bits == kProofBits) {
      const std::optional<bool> proved = ProveConstant(a, b, budget);
      if (proved.has_value()) return *proved ? Match::kProved : Match::kUnequal;
    }
  }
  return Match::kNumeric;
}

bool Close(const Node& a, const Node& b, const Node& tolerance, Budget* budget) {
  EnterFlint();
  Ball x, y, t;
  BallEvaluator evaluator(kProofBits, nullptr, Logarithm::kBase10, budget);
  if (!evaluator.Run(a, x.v) || !evaluator.Run(b, y.v) || !evaluator.Run(tolerance, t.v))
    return false;
  acb_sub(x.v, x.v, y.v, kProofBits);
  acb_abs(acb_realref(y.v), x.v, kProofBits);
  return arb_is_finite(acb_realref(y.v)) && arb_le(acb_realref(y.v), acb_realref(t.v));
}

int Order(const Node& a, const Node& b, Budget* budget) {
  EnterFlint();
  Ball x, y;
  BallEvaluator evaluator(kPointBits, nullptr, Logarithm::kBase10, budget);
  if (!evaluator.Run(a, x.v) || !evaluator.Run(b, y.v)) return 0;
  if (!acb_is_real(x.v) || !acb_is_real(y.v)) return 0;
  if (arb_lt(acb_realref(x.v), acb_realref(y.v))) return -1;
  return arb_gt(acb_realref(x.v), acb_realref(y.v)) ? 1 : 0;
}

Match SameFunction(const Node& a, const Node& b, Logarithm logarithm, Budget* budget) {
  EnterFlint();
  const std::vector<std::string> names = AllSymbols(a, b);
  if (names.size() > 16) return Match::kBudget;
  const bool naturals = NeedsNaturals(a) || NeedsNaturals(b);
  int agree = 0, branched_agree = 0, branched_differ = 0;
  for (int i = 0; i < kPoints; ++i) {
    const Point point = MakePoint(names, i, naturals);
    switch (Compare(a, b, point, logarithm, budget)) {
      case At::kDiffer:
        return Match::kUnequal;
      case At::kAgree:
        ++agree;
        break;
      case At::kOnBranch: {
        // Complex on the way: decided only if no point is better.
        Ball x, y;
        BallEvaluator evaluator(kPointBits, &point, logarithm, budget);
        if (evaluator.Run(a, x.v) && evaluator.Run(b, y.v))
          ++(acb_overlaps(x.v, y.v) ? branched_agree : branched_differ);
        break;
      }
      case At::kUndefined:
        break;
    }
    if (budget->spent()) return Match::kBudget;
  }
  if (agree >= 3) return Match::kNumeric;
  if (branched_differ > 0) return Match::kUnequal;
  return agree + branched_agree >= 3 ? Match::kNumeric : Match::kUndefined;
}

Match SameUpToFactor(const Node& a, const Node& b, bool positive, Logarithm logarithm,
                     Budget* budget) {
  EnterFlint();
  const std::vector<std::string> names = AllSymbols(a, b);
  if (names.size() > 16) return Match::kBudget;
  const bool naturals = NeedsNaturals(a) || NeedsNaturals(b);
  Ball a0, b0;
  int agree = -1;  // the first point only gives the factor
  for (int i = 0; i < kPoints; ++i) {
    const Point point = MakePoint(names, i, naturals);
    Ball x, y;
    BallEvaluator evaluator(kPointBits, &point, logarithm, budget);
    const bool defined = evaluator.Run(a, x.v) && evaluator.Run(b, y.v);
    if (budget->spent()) return Match::kBudget;
    if (!defined || evaluator.branched() || !Accurate(x.v) || !Accurate(y.v)) continue;
    if (agree < 0) {
      if (acb_contains_zero(x.v) != acb_contains_zero(y.v)) return Match::kUnequal;
      if (acb_contains_zero(x.v)) continue;
      acb_swap(a0.v, x.v);
      acb_swap(b0.v, y.v);
      if (positive) {
        acb_div(x.v, a0.v, b0.v, kPointBits);
        if (!acb_is_real(x.v) || !arb_is_positive(acb_realref(x.v))) return Match::kUnequal;
      }
      agree = 0;
      continue;
    }
    acb_mul(x.v, x.v, b0.v, kPointBits);
    acb_mul(y.v, y.v, a0.v, kPointBits);
    if (!acb_overlaps(x.v, y.v)) return Match::kUnequal;
    ++agree;
  }
  return agree >= 3 ? Match::kNumeric : Match::kUndefined;
}

}  // namespace hone::math
