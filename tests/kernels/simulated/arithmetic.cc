// Instructions on registers. Floats are the host's: IEEE, rounded to nearest.

#include <cmath>
#include <limits>
#include <type_traits>

#include "tests/kernels/simulated/machine.h"

namespace hone::simulated {
namespace {

template <typename D, typename A, auto F>
void Unary(Warp& w, const Instruction& i, uint32_t mask) {
  Row<D> d(w, i.operands[0]);
  const Row<A> a(w, i.operands[1]);
  if (mask == kAllLanes) {
    for (int l = 0; l < kLanes; ++l) d.Set(l, F(a[l]));
  } else {
    HONE_LANES(l, mask) d.Set(l, F(a[l]));
  }
}
template <typename D, typename A, typename B, auto F>
void Binary(Warp& w, const Instruction& i, uint32_t mask) {
  Row<D> d(w, i.operands[0]);
  const Row<A> a(w, i.operands[1]);
  const Row<B> b(w, i.operands[2]);
  if (mask == kAllLanes) {
    for (int l = 0; l < kLanes; ++l) d.Set(l, F(a[l], b[l]));
  } else {
    HONE_LANES(l, mask) d.Set(l, F(a[l], b[l]));
  }
}
template <typename T, auto F>
void Ternary(Warp& w, const Instruction& i, uint32_t mask) {
  Row<T> d(w, i.operands[0]);
  const Row<T> a(w, i.operands[1]), b(w, i.operands[2]), c(w, i.operands[3]);
  if (mask == kAllLanes) {
    for (int l = 0; l < kLanes; ++l) d.Set(l, F(a[l], b[l], c[l]));
  } else {
    HONE_LANES(l, mask) d.Set(l, F(a[l], b[l], c[l]));
  }
}
template <typename T, auto F>
void Compare(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T> a(w, i.operands[1]), b(w, i.operands[2]);
  uint32_t bits = 0;
  for (int l = 0; l < kLanes; ++l) bits |= static_cast<uint32_t>(F(a[l], b[l])) << l;
  w.SetPredicate(i.operands[0], mask, bits);
}
template <auto F>
void OfPredicates(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t a = w.Predicate(i.operands[1]);
  const uint32_t b = i.operands.size() > 2 ? w.Predicate(i.operands[2]) : 0;
  w.SetPredicate(i.operands[0], mask, F(a, b));
}
template <typename T>
void Choose(Warp& w, const Instruction& i, uint32_t mask) {
  Row<T> d(w, i.operands[0]);
  const Row<T> a(w, i.operands[1]), b(w, i.operands[2]);
  const uint32_t p = w.Predicate(i.operands[3]);
  HONE_LANES(l, mask) d.Set(l, p >> l & 1 ? a[l] : b[l]);
}

// f<T>() for a type's name, null for others.
template <typename F>
Operation OfInteger(const std::string& type, const F& f) {
  if (type == "s32") return f.template operator()<int32_t>();
  if (type == "u32" || type == "b32") return f.template operator()<uint32_t>();
  if (type == "s64") return f.template operator()<int64_t>();
  if (type == "u64" || type == "b64") return f.template operator()<uint64_t>();
  if (type == "s16") return f.template operator()<int16_t>();
  if (type == "u16" || type == "b16") return f.template operator()<uint16_t>();
  return nullptr;
}
template <typename F>
Operation OfNumber(const std::string& type, const F& f) {
  if (type == "f32") return f.template operator()<float>();
  if (type == "f64") return f.template operator()<double>();
  return OfInteger(type, f);
}

// The one that is not NaN; -0 below +0.
template <typename T>
T Least(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a) return b;
    if (b != b) return a;
    if (a == b) return std::signbit(a) ? a : b;
  }
  return a < b ? a : b;
}
template <typename T>
T Most(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a) return b;
    if (b != b) return a;
    if (a == b) return std::signbit(a) ? b : a;
  }
  return a < b ? b : a;
}
template <typename T>
T Divide(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) return static_cast<T>(-1);
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) return static_cast<T>(0 - a);
  }
  return static_cast<T>(a / b);
}
template <typename T>
T Remainder(T a, T b) {
  if (b == 0) return a;
  return std::is_signed_v<T> && b == static_cast<T>(-1) ? T{0} : static_cast<T>(a % b);
}
template <typename T>
T ShiftLeft(T a, uint32_t n) {
  return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << n);
}
template <typename T>
T ShiftRight(T a, uint32_t n) {
  if (n < 8 * sizeof(T)) return static_cast<T>(a >> n);
  return static_cast<T>(std::is_signed_v<T> && a < 0 ? -1 : 0);
}
uint16_t ToBf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return x != x ? uint16_t{0x7fff}
                : static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
float FromBf16(uint16_t x) {
  return std::bit_cast<float>(uint32_t{x} << 16);
}
// fma.rm: towards minus infinity. The product is exact in f64, and so are a sum and its error.
float FusedDown(float a, float b, float c) {
  const float nearest = std::fma(a, b, c);
  const double product = double{a} * double{b}, sum = product + double{c};
  const double part = sum - product;
  const double error = (product - (sum - part)) + (double{c} - part);
  const bool above = double{nearest} > sum || (double{nearest} == sum && error < 0);
  return above ? std::nextafterf(nearest, -std::numeric_limits<float>::infinity()) : nearest;
}
// What is below the smallest normal number is zero.
float Exp2Flushed(float x) {
  const float y = static_cast<float>(std::exp2(double{x}));
  return y < std::numeric_limits<float>::min() ? 0.0f : y;
}
template <typename D, typename S>
D ToInteger(S whole) {
  if (whole != whole) return 0;
  if (whole >= std::ldexp(1.0, std::numeric_limits<D>::digits))
    return std::numeric_limits<D>::max();
  if (whole < static_cast<double>(std::numeric_limits<D>::min()))
    return std::numeric_limits<D>::min();
  return static_cast<D>(whole);
}

template <typename T>
void InsertBits(Warp& w, const Instruction& i, uint32_t mask) {
  Row<T> d(w, i.operands[0]);
  const Row<T> a(w, i.operands[1]), b(w, i.operands[2]);
  const Row<uint32_t> from(w, i.operands[3]), count(w, i.operands[4]);
  HONE_LANES(l, mask) {
    const T field = ShiftLeft<T>(
        count[l] >= 8 * sizeof(T) ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << count[l]) - 1),
        from[l]);
    d.Set(l, static_cast<T>((b[l] & ~field) | (ShiftLeft<T>(a[l], from[l]) & field)));
  }
}
void PackBf16(Warp& w, const Instruction& i, uint32_t mask) {
  Row<uint32_t> d(w, i.operands[0]);
  const Row<float> high(w, i.operands[1]), low(w, i.operands[2]);
  HONE_LANES(l, mask) d.Set(l, uint32_t{ToBf16(high[l])} << 16 | ToBf16(low[l]));
}
// mov.b64 d, {a, b} and mov.b32 d, {a, b}; and back.
template <typename T>
void Join(Warp& w, const Instruction& i, uint32_t mask) {
  Row<T> d(w, i.operands[0]);
  const Row<uint32_t> low(w, i.lists[0][0]), high(w, i.lists[0][1]);
  constexpr int kHalf = 4 * sizeof(T);
  HONE_LANES(l, mask)
  d.Set(l, static_cast<T>((T{low[l]} & ((T{1} << kHalf) - 1)) | T{high[l]} << kHalf));
}
template <typename T>
void Part(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T> from(w, i.operands[0]);
  constexpr int kHalf = 4 * sizeof(T);
  for (int n = 0; n < 2; ++n) {
    const Register& to = i.lists[0][static_cast<size_t>(n)];
    if (to.file == File::kNone) continue;
    HONE_LANES(l, mask)
    w.Words(to.index)[l] = static_cast<uint32_t>(from[l] >> (n * kHalf) & ((T{1} << kHalf) - 1));
  }
}

// An integer may come from a register that is wider.
template <typename D, typename S>
void ConvertInteger(Warp& w, const Instruction& i, uint32_t mask) {
  if (i.operands[1].file == File::kLong && sizeof(S) < 8) {
    Row<D> d(w, i.operands[0]);
    const Row<uint64_t> a(w, i.operands[1]);
    HONE_LANES(l, mask) d.Set(l, static_cast<D>(static_cast<S>(a[l])));
  } else {
    Unary<D, S, [](S a) { return static_cast<D>(a); }>(w, i, mask);
  }
}

// cvt, with `round` ("rn", "rzi", "sat", ...).
template <typename D>
Operation Convert(const std::string& from, const std::string& round) {
  return OfNumber(from, [&]<typename S>() -> Operation {
    if constexpr (std::is_integral_v<S>) {
      return &ConvertInteger<D, S>;
    } else if constexpr (std::is_integral_v<D>) {
      if (round == "rni") return &Unary<D, S, [](S a) { return ToInteger<D>(std::nearbyint(a)); }>;
      if (round == "rzi") return &Unary<D, S, [](S a) { return ToInteger<D>(std::trunc(a)); }>;
      return nullptr;
    } else {
      if (round == "rpi") return &Unary<D, S, [](S a) { return static_cast<D>(std::ceil(a)); }>;
      if (round == "sat")
        return &Unary<D, S, [](S a) {
          return a != a ? D{0} : static_cast<D>(Least<S>(1, Most<S>(0, a)));
        }>;
      if (round.empty() || round == "rn")
        return &Unary<D, S, [](S a) { return static_cast<D>(a); }>;
      return nullptr;
    }
  });
}

template <typename T>
bool IsLess(T a, T b) {
  return a < b;
}
template <typename T>
bool IsMore(T a, T b) {
  return b < a;
}
// A comparison that ends with u is also true of NaN.
template <typename T>
Operation FindCompare(const std::string& how) {
  if (how == "eq") return &Compare<T, [](T a, T b) { return a == b; }>;
  if (how == "ne") return &Compare<T, [](T a, T b) { return a == a && b == b && a != b; }>;
  if (how == "lt") return &Compare<T, &IsLess<T>>;
  if (how == "le") return &Compare<T, [](T a, T b) { return a <= b; }>;
  if (how == "gt") return &Compare<T, &IsMore<T>>;
  if (how == "ge") return &Compare<T, [](T a, T b) { return a >= b; }>;
  if (how == "neu") return &Compare<T, [](T a, T b) { return a != b; }>;
  if (how == "ltu") return &Compare<T, [](T a, T b) { return !(a >= b); }>;
  if (how == "leu") return &Compare<T, [](T a, T b) { return !IsMore(a, b); }>;
  if (how == "gtu") return &Compare<T, [](T a, T b) { return !(a <= b); }>;
  if (how == "geu") return &Compare<T, [](T a, T b) { return !IsLess(a, b); }>;
  return nullptr;
}

template <typename D, typename A>
Operation Widened() {
  return &Binary<D, A, A, [](A a, A b) { return static_cast<D>(D{a} * D{b}); }>;
}
template <typename T, typename Wide>
Operation HighHalf() {
  return &Binary<T, T, T,
                 [](T a, T b) { return static_cast<T>(Wide{a} * Wide{b} >> 8 * sizeof(T)); }>;
}

Operation FindPredicate(const std::string& what) {
  if (what == "mov") return &OfPredicates<[](uint32_t a, uint32_t) { return a; }>;
  if (what == "not") return &OfPredicates<[](uint32_t a, uint32_t) { return ~a; }>;
  if (what == "and") return &OfPredicates<[](uint32_t a, uint32_t b) { return a & b; }>;
  if (what == "or") return &OfPredicates<[](uint32_t a, uint32_t b) { return a | b; }>;
  if (what == "xor") return &OfPredicates<[](uint32_t a, uint32_t b) { return a ^ b; }>;
  return nullptr;
}

// Two operands of one type, which is also the result's.
template <typename T>
Operation FindSimple(const std::string& what) {
  if (what == "mov") return &Unary<T, T, [](T a) { return a; }>;
  if (what == "neg") return &Unary<T, T, [](T a) { return static_cast<T>(-a); }>;
  if (what == "add") return &Binary<T, T, T, [](T a, T b) { return static_cast<T>(a + b); }>;
  if (what == "sub") return &Binary<T, T, T, [](T a, T b) { return static_cast<T>(a - b); }>;
  if (what == "mul") return &Binary<T, T, T, [](T a, T b) { return static_cast<T>(a * b); }>;
  if (what == "div") return &Binary<T, T, T, &Divide<T>>;
  if (what == "min") return &Binary<T, T, T, &Least<T>>;
  if (what == "max") return &Binary<T, T, T, &Most<T>>;
  if (what == "selp") return &Choose<T>;
  if constexpr (std::is_integral_v<T>) {
    if (what == "mad") return &Ternary<T, [](T a, T b, T c) { return static_cast<T>(a * b + c); }>;
    if (what == "rem") return &Binary<T, T, T, &Remainder<T>>;
    if (what == "and") return &Binary<T, T, T, [](T a, T b) { return static_cast<T>(a & b); }>;
    if (what == "or") return &Binary<T, T, T, [](T a, T b) { return static_cast<T>(a | b); }>;
    if (what == "xor") return &Binary<T, T, T, [](T a, T b) { return static_cast<T>(a ^ b); }>;
    if (what == "not") return &Unary<T, T, [](T a) { return static_cast<T>(~a); }>;
    if (what == "shl") return &Binary<T, T, uint32_t, &ShiftLeft<T>>;
    if (what == "shr") return &Binary<T, T, uint32_t, &ShiftRight<T>>;
    if (what == "bfi") return &InsertBits<T>;
  }
  return nullptr;
}

uint32_t Reversed(uint32_t a) {
  uint32_t r = 0;
  for (int n = 0; n < 32; ++n) r |= (a >> n & 1) << (31 - n);
  return r;
}

}  // namespace

Operation FindArithmetic(const std::vector<std::string>& name) {
  const std::string &what = name[0], &type = name.back();
  std::string whole = what;
  for (size_t n = 1; n < name.size(); ++n) whole += "." + name[n];

  if (whole == "cvt.rn.bf16.f32") return &Unary<uint16_t, float, &ToBf16>;
  if (whole == "cvt.f32.bf16") return &Unary<float, uint16_t, &FromBf16>;
  if (whole == "cvt.rn.bf16x2.f32") return &PackBf16;
  if (whole == "fma.rn.f32")
    return &Ternary<float, [](float a, float b, float c) { return std::fma(a, b, c); }>;
  if (whole == "fma.rm.f32") return &Ternary<float, &FusedDown>;
  if (whole == "ex2.approx.ftz.f32") return &Unary<float, float, &Exp2Flushed>;
  if (whole == "rcp.rn.f32") return &Unary<float, float, [](float a) { return 1.0f / a; }>;
  if (whole == "sqrt.rn.f32") return &Unary<float, float, [](float a) { return std::sqrt(a); }>;
  if (whole == "brev.b32") return &Unary<uint32_t, uint32_t, &Reversed>;
  if (whole == "popc.b32")
    return &Unary<uint32_t, uint32_t,
                  [](uint32_t a) { return static_cast<uint32_t>(std::popcount(a)); }>;
  if (whole == "clz.b32")
    return &Unary<uint32_t, uint32_t,
                  [](uint32_t a) { return static_cast<uint32_t>(std::countl_zero(a)); }>;
  if (whole == "bfind.shiftamt.u32")
    return &Unary<uint32_t, uint32_t, [](uint32_t a) {
      return a == 0 ? ~uint32_t{0} : static_cast<uint32_t>(std::countl_zero(a));
    }>;
  if (whole == "mov.b64.join") return &Join<uint64_t>;
  if (whole == "mov.b32.join") return &Join<uint32_t>;
  if (whole == "mov.b64.part") return &Part<uint64_t>;
  if (whole == "mov.b32.part") return &Part<uint32_t>;
  // Generic addresses are those of the spaces (program.h).
  if (whole == "cvta.to.global.u64" || whole == "cvta.param.u64" || whole == "cvta.shared.u64" ||
      whole == "cvta.to.shared.u64")
    return FindSimple<uint64_t>("mov");
  if (what == "cvt" && name.size() <= 4) {
    const std::string round = name.size() == 4 ? name[1] : "";
    return OfNumber(name[name.size() - 2], [&]<typename D>() { return Convert<D>(type, round); });
  }
  if (what == "mul" && name[1] == "wide") {
    if (type == "s32") return Widened<int64_t, int32_t>();
    if (type == "u32") return Widened<uint64_t, uint32_t>();
    return type == "u16" ? Widened<uint32_t, uint16_t>() : nullptr;
  }
  if (what == "mul" && name[1] == "hi") {
    if (type == "s64") return HighHalf<int64_t, __int128>();
    if (type == "u64") return HighHalf<uint64_t, unsigned __int128>();
    if (type == "s32") return HighHalf<int32_t, int64_t>();
    return type == "u32" ? HighHalf<uint32_t, uint64_t>() : nullptr;
  }
  if (what == "setp")
    return name.size() == 3 ? OfNumber(type, [&]<typename T>() { return FindCompare<T>(name[1]); })
                            : nullptr;
  if (type == "pred") return FindPredicate(what);
  // add.rn.f32, mul.lo.s64, ...: a way of rounding that is not the host's is none of these.
  if (name.size() > 3 || (name.size() == 3 && name[1] != "rn" && name[1] != "lo")) return nullptr;
  return OfNumber(type, [&]<typename T>() { return FindSimple<T>(what); });
}

}  // namespace hone::simulated
