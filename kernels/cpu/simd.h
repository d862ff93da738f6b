#pragma once

// Sixteen f32 lanes, on AVX-512 or on pairs of AVX2 registers, and the functions of them that
// kernels need.
//
// Every file that includes this is compiled once per instruction set, each time in another
// namespace (HONE_ISA), and both give the same bits: lanes never mix but in Sum() and MaxOf(),
// whose trees are equal, and products are fused only where the source says Fma (-ffp-contract=off).
//
// A function template of the standard library that such a file instantiates for types that are not
// its own could be the copy that the linker keeps for the whole program, AVX-512 included. Keep to
// what surely inlines (std::min), or call a function that is compiled once (team.h, select.h).

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__AVX512F__)
#define HONE_ISA v4
#include "kernels/cpu/simd_avx512.h"
#elif defined(__AVX2__)
#define HONE_ISA v3
#include "kernels/cpu/simd_avx2.h"
#else
#error "compile with -march=x86-64-v3 or -march=x86-64-v4"
#endif

// A loop of constant length whose array of vectors must become registers.
#if defined(__clang__)
#define HONE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define HONE_UNROLL _Pragma("GCC unroll 64")
#endif

namespace hone::kernels::cpu::HONE_ISA {

inline constexpr int kLanes = 16;

// One element, any dtype.
inline float Get(const float* p) {
  return *p;
}
inline float Get(const BF16* p) {
  const uint32_t bits = uint32_t{p->bits} << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
inline void Put(float* p, float f) {
  *p = f;
}
inline void Put(BF16* p, float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  const bool nan = (bits & 0x7fffffff) > 0x7f800000;
  p->bits = nan ? static_cast<uint16_t>(bits >> 16 | 0x40)
                : static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// f(i, lanes) for i = 0, 16, ... below n; `lanes` is what Load and Store want for that place.
template <typename F>
inline __attribute__((always_inline)) void ForLanes(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, Full{});
  if (i < n) f(i, Part(n - i));
}

// f(T{}) with the element type of `dtype`.
template <typename F>
inline auto WithType(DType dtype, const F& f) {
  return dtype == DType::kBF16 ? f(BF16{}) : f(float{});
}

// e^x within 2 ulp; 0 below -87.3, infinity above 88.7; NaN stays NaN.
inline Vec Exp(Vec x) {
  const Vec lo = Set(-87.336544f), hi = Set(88.722839f);
  const Vec y = Max(lo, Min(hi, x));  // the second operand survives when it is NaN
  const VecI n = Round(y * Set(1.44269502f));
  const Vec nf = ToFloat(n);
  Vec r = Fma(nf, Set(-0.693145752f), y);
  r = Fma(nf, Set(-1.42860677e-06f), r);
  Vec p = Fma(Set(0.00139269268f), r, Set(0.00836377405f));
  p = Fma(p, r, Set(0.0416665487f));
  p = Fma(p, r, Set(0.166665733f));
  p = Fma(p, r, Set(0.5f));
  p = Fma(p, r * r, r) + Set(1.0f);
  // 2^n in two factors: n = 128 has none of its own.
  const VecI half = ShiftRightSigned<1>(n);
  const VecI bias = SetI(127);
  p = p * BitsToFloat(ShiftLeft<23>(half + bias)) * BitsToFloat(ShiftLeft<23>(n - half + bias));
  p = Select(Less(x, lo), Zero(), p);
  return Select(Less(hi, x), Set(__builtin_inff()), p);
}

// Natural logarithm within 2 ulp for normal positive x; what other x give is unspecified.
inline Vec Log(Vec x) {
  // x = m 2^e with m in [sqrt(1/2), sqrt(2))
  const VecI bits = FloatToBits(x) - SetI(0x3f3504f3);
  const VecI e = ShiftRightSigned<23>(bits);
  const Vec m = BitsToFloat(FloatToBits(x) - ShiftLeft<23>(e));
  const Vec f = m - Set(1.0f);
  Vec p = Fma(Set(0.0697161183f), f, Set(-0.114797339f));
  p = Fma(p, f, Set(0.116854198f));
  p = Fma(p, f, Set(-0.124256872f));
  p = Fma(p, f, Set(0.142490581f));
  p = Fma(p, f, Set(-0.166678026f));
  p = Fma(p, f, Set(0.200007156f));
  p = Fma(p, f, Set(-0.24999997f));
  p = Fma(p, f, Set(0.333333313f));
  const Vec f2 = f * f, ef = ToFloat(e);
  Vec tail = Fma(p * f, f2, ef * Set(1.42860677e-06f));
  tail = Fma(f2, Set(-0.5f), tail);
  return Fma(ef, Set(0.693145752f), f + tail);
}
inline float Log(float x) {
  return First(Log(Set(x)));
}
inline float Exp(float x) {
  return First(Exp(Set(x)));
}

inline Vec Sigmoid(Vec x) {
  return Set(1.0f) / (Set(1.0f) + Exp(Zero() - x));
}

}  // namespace hone::kernels::cpu::HONE_ISA
