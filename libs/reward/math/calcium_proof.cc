#include "libs/reward/math/calcium_proof.h"

#include <flint/flint.h>

// Calcium's headers are C: their inline functions assign void* to other pointers.
namespace {
struct AnyPointer {
  void* p;
  template <typename T>
  operator T*() const {
    return static_cast<T*>(p);
  }
};
}  // namespace
#define flint_malloc(size) (AnyPointer{flint_malloc(size)})
#define flint_realloc(p, size) (AnyPointer{flint_realloc(p, size)})
#include <ca.h>
#undef flint_malloc
#undef flint_realloc

#include <cstdlib>

#include "libs/reward/math/exact.h"

namespace hone::math {
namespace {

constexpr int kMaxNodes = 40;
constexpr int kMaxRoots = 5;       // square roots and the like; their field may have degree 2^5
constexpr long kProofCost = 1500;  // a proof takes 0.1 to 2 ms

// What a proof may cost, known before it is tried.
struct Size {
  int nodes = 0, roots = 0;
  bool ok = true;
};

void Measure(const Node& n, Size* size) {
  ++size->nodes;
  switch (n.kind) {
    case Kind::kNumber:
      size->ok &= SmallFraction(n).has_value() && n.count == 0;
      return;
    case Kind::kPower: {
      const auto e = SmallFraction(n[1]);
      if (n[0].Is(Kind::kConstant) && n[0].text == "e") break;
      size->ok &= e.has_value() && std::labs(e->first) <= 8 && e->second <= 4;
      if (e.has_value() && e->second > 1) ++size->roots;
      Measure(n[0], size);
      return;
    }
    case Kind::kCall:
      if (n.text == "sqrt") {
        const auto index =
            n.children.size() > 1 ? SmallFraction(n[1]) : std::pair<int64_t, int64_t>(2, 1);
        size->ok &=
            index.has_value() && index->second == 1 && index->first >= 2 && index->first <= 4;
        if (index.has_value() && index->first > 2) ++size->roots;
        ++size->roots;
        Measure(n[0], size);
        return;
      }
      size->ok &= n.children.size() == 1 && (n.text == "ln" || n.text == "exp" || n.text == "sin" ||
                                             n.text == "cos" || n.text == "tan" || n.text == "abs");
      ++size->roots;
      break;
    case Kind::kConstant:
      size->ok &= n.text != "infinity";
      break;
    case Kind::kSum:
    case Kind::kProduct:
    case Kind::kNegate:
    case Kind::kInverse:
      break;
    default:
      size->ok = false;
      return;
  }
  if (size->nodes > kMaxNodes) size->ok = false;
  if (!size->ok) return;
  for (const Node& child : n.children) Measure(child, size);
}

class Element {
 public:
  explicit Element(ca_ctx_t context) : context_(context) { ca_init(v, context_); }
  ~Element() { ca_clear(v, context_); }
  Element(const Element&) = delete;
  Element& operator=(const Element&) = delete;
  ca_t v;

 private:
  ca_ctx_struct* context_;
};

bool Build(const Node& n, ca_t out, ca_ctx_t context) {
  switch (n.kind) {
    case Kind::kNumber: {
      const auto x = SmallFraction(n);
      ca_set_si(out, x->first, context);
      ca_div_si(out, out, x->second, context);
      return true;
    }
    case Kind::kConstant:
      if (n.text == "pi") {
        ca_pi(out, context);
      } else if (n.text == "i") {
        ca_i(out, context);
      } else {
        ca_one(out, context);
        ca_exp(out, out, context);
      }
      return true;
    case Kind::kSum:
    case Kind::kProduct: {
      if (!Build(n[0], out, context)) return false;
      Element x(context);
      for (size_t i = 1; i < n.children.size(); ++i) {
        if (!Build(n[i], x.v, context)) return false;
        if (n.Is(Kind::kSum))
          ca_add(out, out, x.v, context);
        else
          ca_mul(out, out, x.v, context);
      }
      return true;
    }
    case Kind::kNegate:
      if (!Build(n[0], out, context)) return false;
      ca_neg(out, out, context);
      return true;
    case Kind::kInverse:
      if (!Build(n[0], out, context)) return false;
      ca_inv(out, out, context);
      return true;
    case Kind::kPower: {
      if (!Build(n[0], out, context)) return false;
      Element e(context);
      if (!Build(n[1], e.v, context)) return false;
      // The real root of a negative number is another one than Calcium's.
      if (const auto f = SmallFraction(n[1]);
          f.has_value() && f->second > 1 && ca_check_is_negative_real(out, context) != T_FALSE)
        return false;
      ca_pow(out, out, e.v, context);
      return true;
    }
    case Kind::kCall: {
      if (!Build(n[0], out, context)) return false;
      if (n.text == "sqrt") {
        if (n.children.size() == 1) {
          ca_sqrt(out, out, context);
          return true;
        }
        if (ca_check_is_negative_real(out, context) != T_FALSE) return false;
        Element e(context);
        ca_one(e.v, context);
        ca_div_si(e.v, e.v, SmallFraction(n[1])->first, context);
        ca_pow(out, out, e.v, context);
        return true;
      }
      if (n.text == "ln") ca_log(out, out, context);
      if (n.text == "exp") ca_exp(out, out, context);
      if (n.text == "sin") ca_sin_cos(out, nullptr, out, context);
      if (n.text == "cos") ca_sin_cos(nullptr, out, out, context);
      if (n.text == "tan") ca_tan(out, out, context);
      if (n.text == "abs") ca_abs(out, out, context);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

std::optional<bool> ProveConstant(const Node& a, const Node& b, Budget* budget) {
  Size size;
  Measure(a, &size);
  if (size.ok) Measure(b, &size);
  if (!size.ok || size.roots > kMaxRoots) return std::nullopt;
  if (!budget->Spend(kProofCost)) return std::nullopt;
  ca_ctx_t context;
  ca_ctx_init(context);
  context->options[CA_OPT_PREC_LIMIT] = 512;
  context->options[CA_OPT_QQBAR_DEG_LIMIT] = 32;
  context->options[CA_OPT_LLL_PREC] = 128;
  context->options[CA_OPT_POW_LIMIT] = 20;
  context->options[CA_OPT_GROEBNER_LENGTH_LIMIT] = 50;
  context->options[CA_OPT_GROEBNER_POLY_LENGTH_LIMIT] = 500;
  context->options[CA_OPT_GROEBNER_POLY_BITS_LIMIT] = 500;
  truth_t equal = T_UNKNOWN;
  {
    Element x(context), y(context);
    if (Build(a, x.v, context) && Build(b, y.v, context)) {
      ca_sub(x.v, x.v, y.v, context);
      equal = ca_check_is_zero(x.v, context);
    }
  }
  ca_ctx_clear(context);
  if (equal == T_UNKNOWN) return std::nullopt;
  return equal == T_TRUE;
}

}  // namespace hone::math
