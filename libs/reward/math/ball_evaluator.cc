#include "libs/reward/math/ball_evaluator.h"

#include <acb_hypgeom.h>
#include <arb_hypgeom.h>

#include <cstdlib>

#include "libs/reward/math/exact.h"

namespace hone::math {
namespace {

// Values beyond 2^(2^40) are refused: nothing that an answer needs.
constexpr slong kMaxExponent = slong{1} << 40;
constexpr slong kMaxGammaBits = 40;

bool Trigonometric(const std::string& f) {
  return f == "sin" || f == "cos" || f == "tan" || f == "cot" || f == "sec" || f == "csc";
}

}  // namespace

bool BallEvaluator::Finite(const acb_t x) const {
  return acb_is_finite(x) && arf_cmpabs_2exp_si(arb_midref(acb_realref(x)), kMaxExponent) < 0 &&
         arf_cmpabs_2exp_si(arb_midref(acb_imagref(x)), kMaxExponent) < 0;
}

bool BallEvaluator::Run(const Node& n, acb_t out) {
  if (!budget_->Spend(1 + precision_ / 256)) return false;
  switch (n.kind) {
    case Kind::kNumber:
      return Number(n, out);
    case Kind::kSymbol:
      if (point_ == nullptr) return false;
      for (const auto& [name, value] : point_->values)
        if (name == n.text) {
          acb_set_si(out, value.first);
          acb_div_si(out, out, value.second, precision_);
          return true;
        }
      return false;
    case Kind::kConstant:
      if (n.text == "pi") {
        acb_const_pi(out, precision_);
      } else if (n.text == "e") {
        acb_zero(out);
        arb_const_e(acb_realref(out), precision_);
      } else if (n.text == "i") {
        acb_onei(out);
      } else {
        return false;
      }
      return true;
    case Kind::kSum:
    case Kind::kProduct: {
      if (!Run(n[0], out)) return false;
      Ball x;
      for (size_t i = 1; i < n.children.size(); ++i) {
        if (!Run(n[i], x.v)) return false;
        if (n.Is(Kind::kSum))
          acb_add(out, out, x.v, precision_);
        else
          acb_mul(out, out, x.v, precision_);
      }
      return Finite(out);
    }
    case Kind::kNegate:
      if (!Run(n[0], out)) return false;
      acb_neg(out, out);
      return true;
    case Kind::kInverse:
      if (!Run(n[0], out) || acb_contains_zero(out)) return false;
      acb_inv(out, out, precision_);
      return Finite(out);
    case Kind::kPower:
      return Power(n, out);
    case Kind::kCall:
      return Call(n, out);
    case Kind::kApply:
      return Apply(n, out);
    case Kind::kPercent:
      if (!Run(n[0], out)) return false;
      acb_div_si(out, out, 100, precision_);
      return true;
    case Kind::kDegree: {
      if (!Run(n[0], out)) return false;
      if (!angle_) return true;
      Ball pi;
      acb_const_pi(pi.v, precision_);
      acb_mul(out, out, pi.v, precision_);
      acb_div_si(out, out, 180, precision_);
      return true;
    }
    default:
      return false;
  }
}

bool BallEvaluator::Number(const Node& n, acb_t out) {
  const auto [numerator, denominator] = NumberAsFraction(n);
  if (!budget_->Spend(static_cast<long>(numerator.size()) / 32)) return false;
  acb_zero(out);
  fmpz_t x;
  fmpz_init(x);
  fmpz_set_str(x, numerator.c_str(), 10);
  arb_set_fmpz(acb_realref(out), x);
  bool ok = true;
  if (denominator != "1") {
    fmpz_set_str(x, denominator.c_str(), 10);
    ok = !fmpz_is_zero(x);
    if (ok) arb_div_fmpz(acb_realref(out), acb_realref(out), x, precision_);
  }
  fmpz_clear(x);
  return ok;
}

// The root of that index; of a negative number the real one where there is one.
bool BallEvaluator::Root(acb_t x, long index) {
  if (index == 0) return false;
  const bool inverse = index < 0;
  const auto k = static_cast<ulong>(std::labs(index));
  if (acb_is_real(x) && arb_is_negative(acb_realref(x)) && k % 2 == 1) {
    arb_neg(acb_realref(x), acb_realref(x));
    arb_root_ui(acb_realref(x), acb_realref(x), k, precision_);
    arb_neg(acb_realref(x), acb_realref(x));
  } else {
    if (!acb_is_real(x) || !arb_is_nonnegative(acb_realref(x))) branched_ = true;
    if (k == 2)
      acb_sqrt(x, x, precision_);
    else
      acb_root_ui(x, x, k, precision_);
  }
  if (inverse) {
    if (acb_contains_zero(x)) return false;
    acb_inv(x, x, precision_);
  }
  return Finite(x);
}

bool BallEvaluator::Log(acb_t x) {
  if (acb_contains_zero(x)) return false;
  if (!acb_is_real(x) || !arb_is_positive(acb_realref(x))) branched_ = true;
  acb_log(x, x, precision_);
  return Finite(x);
}

bool BallEvaluator::Power(const Node& n, acb_t out) {
  if (n[0].Is(Kind::kConstant) && n[0].text == "e") {
    if (!Run(n[1], out) || !budget_->Spend(2 + precision_ / 64)) return false;
    acb_exp(out, out, precision_);
    return Finite(out);
  }
  if (!Run(n[0], out)) return false;
  if (const auto e = SmallFraction(n[1]); e.has_value()) {
    const auto [p, q] = *e;
    if (q > 1000 || std::labs(p) > 1000000000) return false;
    if (p <= 0 && acb_contains_zero(out)) return false;
    if (!budget_->Spend(4 + precision_ / 64)) return false;
    if (q > 1 && !Root(out, q)) return false;
    acb_pow_si(out, out, p, precision_);
    return Finite(out);
  }
  Ball exponent;
  if (!Run(n[1], exponent.v) || acb_contains_zero(out)) return false;
  if (!budget_->Spend(8 + precision_ / 32)) return false;
  if ((!acb_is_real(out) || !arb_is_positive(acb_realref(out))) && !acb_is_int(exponent.v))
    branched_ = true;
  acb_pow(out, out, exponent.v, precision_);
  return Finite(out);
}

bool BallEvaluator::Call(const Node& n, acb_t out) {
  const std::string& f = n.text;
  if (n.children.empty() || !budget_->Spend(4 + precision_ / 32)) return false;
  if (f == "floor" || f == "ceil" || f == "mod" || f == "gcd" || f == "lcm" || f == "max" ||
      f == "min" || f == "sgn")
    return Rounded(n, out);
  const bool outer = angle_;
  angle_ |= Trigonometric(f);
  const bool ok = Run(n[0], out);
  angle_ = outer;
  if (!ok) return false;
  if (f == "sqrt") {
    if (n.children.size() == 1) return Root(out, 2);
    const auto index = SmallFraction(n[1]);
    if (index.has_value() && index->second == 1 && std::labs(index->first) <= 1000)
      return Root(out, index->first);
    // \sqrt[n]{x}
    Ball k;
    if (!Run(n[1], k.v) || acb_contains_zero(k.v) || acb_contains_zero(out)) return false;
    if (!acb_is_real(out) || !arb_is_positive(acb_realref(out))) branched_ = true;
    acb_inv(k.v, k.v, precision_);
    acb_pow(out, out, k.v, precision_);
    return Finite(out);
  }
  if (f == "abs") {
    Ball x;
    acb_abs(acb_realref(x.v), out, precision_);
    acb_swap(out, x.v);
    return true;
  }
  if (f == "overline") {
    acb_conj(out, out);
    return true;
  }
  if (f == "ln") return Log(out);
  if (f == "lg" || f == "log") {
    if (!Log(out)) return false;
    Ball base;
    if (n.children.size() > 1) {
      if (!Run(n[1], base.v) || !Log(base.v)) return false;
    } else if (f == "log" && logarithm_ == Logarithm::kNatural) {
      return true;
    } else {
      acb_set_si(base.v, 10);
      acb_log(base.v, base.v, precision_);
    }
    if (acb_contains_zero(base.v)) return false;
    acb_div(out, out, base.v, precision_);
    return Finite(out);
  }
  if (f == "factorial" || f == "binomial") {
    if (!acb_is_real(out) || arf_cmpabs_2exp_si(arb_midref(acb_realref(out)), kMaxGammaBits) > 0 ||
        !budget_->Spend(50 + precision_ * precision_ / 1024))
      return false;
    Ball x, y;
    acb_add_ui(x.v, out, 1, precision_);
    acb_gamma(x.v, x.v, precision_);
    if (f == "binomial") {
      if (n.children.size() != 2 || !Run(n[1], y.v) || !acb_is_real(y.v) ||
          arf_cmpabs_2exp_si(arb_midref(acb_realref(y.v)), kMaxGammaBits) > 0)
        return false;
      acb_sub(out, out, y.v, precision_);
      acb_add_ui(out, out, 1, precision_);
      acb_add_ui(y.v, y.v, 1, precision_);
      acb_rgamma(out, out, precision_);
      acb_rgamma(y.v, y.v, precision_);
      acb_mul(x.v, x.v, out, precision_);
      acb_mul(x.v, x.v, y.v, precision_);
    }
    acb_swap(out, x.v);
    return Finite(out);
  }
  Ball x;
  acb_swap(x.v, out);
  return Elementary(f, out, x.v) && Finite(out);
}

bool BallEvaluator::Elementary(const std::string& f, acb_t out, const acb_t x) {
  const bool real = acb_is_real(x);
  const slong p = precision_;
  if (f == "sin") return acb_sin(out, x, p), true;
  if (f == "cos") return acb_cos(out, x, p), true;
  if (f == "tan") return acb_tan(out, x, p), true;
  if (f == "cot") return acb_cot(out, x, p), true;
  if (f == "sec") return acb_sec(out, x, p), true;
  if (f == "csc") return acb_csc(out, x, p), true;
  if (f == "sinh") return acb_sinh(out, x, p), true;
  if (f == "cosh") return acb_cosh(out, x, p), true;
  if (f == "tanh") return acb_tanh(out, x, p), true;
  if (f == "coth") return acb_coth(out, x, p), true;
  if (f == "exp") return acb_exp(out, x, p), true;
  Ball y;
  acb_set(y.v, x);
  if (f == "arcsec" || f == "arccsc" || f == "arccot") {
    if (acb_contains_zero(x)) return false;
    acb_inv(y.v, x, p);
  }
  if (f == "arcsin" || f == "arccsc")
    acb_asin(out, y.v, p);
  else if (f == "arccos" || f == "arcsec")
    acb_acos(out, y.v, p);
  else if (f == "arctan" || f == "arccot")
    acb_atan(out, y.v, p);
  else if (f == "arsinh")
    acb_asinh(out, y.v, p);
  else if (f == "arcosh")
    acb_acosh(out, y.v, p);
  else if (f == "artanh")
    acb_atanh(out, y.v, p);
  else
    return false;
  if (real && !acb_is_real(out)) branched_ = true;
  return true;
}

// Functions that jump: their argument must be known on which side it is.
bool BallEvaluator::Rounded(const Node& n, acb_t out) {
  const std::string& f = n.text;
  if (!Run(n[0], out) || !acb_is_real(out)) return false;
  arb_ptr x = acb_realref(out);
  if (f == "floor" || f == "ceil") {
    if (f == "floor")
      arb_floor(x, x, precision_);
    else
      arb_ceil(x, x, precision_);
    return arb_is_int(x);
  }
  if (f == "sgn") {
    arb_sgn(x, x);
    return arb_is_int(x);
  }
  for (size_t i = 1; i < n.children.size(); ++i) {
    Ball other;
    if (!Run(n[i], other.v) || !acb_is_real(other.v)) return false;
    arb_ptr y = acb_realref(other.v);
    if (f == "max") {
      arb_max(x, x, y, precision_);
    } else if (f == "min") {
      arb_min(x, x, y, precision_);
    } else if (f == "mod") {
      if (arb_contains_zero(y)) return false;
      Ball q;
      arb_ptr k = acb_realref(q.v);
      arb_div(k, x, y, precision_);
      arb_floor(k, k, precision_);
      if (!arb_is_int(k)) return false;
      arb_submul(x, k, y, precision_);
    } else {
      fmpz_t a, b;
      fmpz_init(a);
      fmpz_init(b);
      const bool ok = arf_cmpabs_2exp_si(arb_midref(x), 4096) < 0 &&
                      arf_cmpabs_2exp_si(arb_midref(y), 4096) < 0 && arb_get_unique_fmpz(a, x) &&
                      arb_get_unique_fmpz(b, y) && arb_is_int(x) && arb_is_int(y);
      if (ok) {
        f == "gcd" ? fmpz_gcd(a, a, b) : fmpz_lcm(a, a, b);
        arb_set_fmpz(x, a);
      }
      fmpz_clear(a);
      fmpz_clear(b);
      if (!ok) return false;
    }
  }
  return true;
}

// An unknown function is a polynomial of its arguments with coefficients of its name: equal for
// equal arguments, and different by all likelihood for others.
bool BallEvaluator::Apply(const Node& n, acb_t out) {
  acb_set_ui(out, HashOfName(n.text, 0) % 1009 + 1);
  for (size_t i = 0; i < n.children.size(); ++i) {
    Ball x;
    if (!Run(n[i], x.v)) return false;
    for (uint64_t k = 1; k <= 3; ++k) {
      acb_mul(out, out, x.v, precision_);
      acb_add_ui(out, out, HashOfName(n.text, k + 4 * i) % 1009 + 1, precision_);
    }
  }
  return Finite(out);
}

}  // namespace hone::math
