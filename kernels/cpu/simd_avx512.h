#pragma once

// Included by simd.h only.

#include <immintrin.h>

#include "kernels/kernels.h"

namespace hone::kernels::cpu::v4 {

struct BF16 {
  uint16_t bits;
};
struct Vec {
  __m512 v;
};
struct VecI {
  __m512i v;
};
using Mask = __mmask16;

// All sixteen places, or the first n of them.
struct Full {};
struct Part {
  explicit Part(int64_t n) : m(static_cast<__mmask16>((1u << n) - 1)) {}
  __mmask16 m;
};

inline Vec Zero() {
  return {_mm512_setzero_ps()};
}
inline Vec Set(float x) {
  return {_mm512_set1_ps(x)};
}
inline VecI SetI(int32_t x) {
  return {_mm512_set1_epi32(x)};
}
inline VecI Iota() {
  return {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
}
inline Vec operator+(Vec a, Vec b) {
  return {_mm512_add_ps(a.v, b.v)};
}
inline Vec operator-(Vec a, Vec b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
inline Vec operator*(Vec a, Vec b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
inline Vec operator/(Vec a, Vec b) {
  return {_mm512_div_ps(a.v, b.v)};
}
inline VecI operator+(VecI a, VecI b) {
  return {_mm512_add_epi32(a.v, b.v)};
}
inline VecI operator-(VecI a, VecI b) {
  return {_mm512_sub_epi32(a.v, b.v)};
}
inline VecI operator^(VecI a, VecI b) {
  return {_mm512_xor_si512(a.v, b.v)};
}
// a b + c
inline Vec Fma(Vec a, Vec b, Vec c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
// Even lanes a b - c, odd lanes a b + c.
inline Vec FmaSubAdd(Vec a, Vec b, Vec c) {
  return {_mm512_fmaddsub_ps(a.v, b.v, c.v)};
}
// b where either is NaN.
inline Vec Max(Vec a, Vec b) {
  return {_mm512_max_ps(a.v, b.v)};
}
inline Vec Min(Vec a, Vec b) {
  return {_mm512_min_ps(a.v, b.v)};
}
inline Vec Sqrt(Vec a) {
  return {_mm512_sqrt_ps(a.v)};
}
inline Mask Less(Vec a, Vec b) {
  return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ);
}
inline Mask Equal(Vec a, Vec b) {
  return _mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ);
}
inline Mask Equal(VecI a, VecI b) {
  return _mm512_cmpeq_epi32_mask(a.v, b.v);
}
inline Vec Select(Mask m, Vec yes, Vec no) {
  return {_mm512_mask_blend_ps(m, no.v, yes.v)};
}
// The lowest lane of m, 16 if there is none.
inline int FirstLane(Mask m) {
  return __builtin_ctz(m | 0x10000u);
}
inline Mask FirstLanes(int64_t n) {
  return n >= 16 ? Mask{0xffff} : static_cast<Mask>((1u << n) - 1);
}
inline Mask MaskOf(const Part& n) {
  return n.m;
}
inline float First(Vec a) {
  return _mm512_cvtss_f32(a.v);
}
inline VecI Round(Vec a) {
  return {_mm512_cvtps_epi32(a.v)};
}
inline Vec ToFloat(VecI a) {
  return {_mm512_cvtepi32_ps(a.v)};
}
inline Vec BitsToFloat(VecI a) {
  return {_mm512_castsi512_ps(a.v)};
}
inline VecI FloatToBits(Vec a) {
  return {_mm512_castps_si512(a.v)};
}
template <int kBits>
inline VecI ShiftLeft(VecI a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
template <int kBits>
inline VecI ShiftRight(VecI a) {
  return {_mm512_srli_epi32(a.v, kBits)};
}
template <int kBits>
inline VecI ShiftRightSigned(VecI a) {
  return {_mm512_srai_epi32(a.v, kBits)};
}
// High and low halves of the products of unsigned lanes.
inline void Multiply(VecI a, VecI b, VecI* hi, VecI* lo) {
  const __m512i even = _mm512_mul_epu32(a.v, b.v);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a.v, 32), _mm512_srli_epi64(b.v, 32));
  hi->v = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
  lo->v = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

inline Vec EvenLanes(Vec a) {  // 0 0 2 2 ...
  return {_mm512_moveldup_ps(a.v)};
}
inline Vec OddLanes(Vec a) {  // 1 1 3 3 ...
  return {_mm512_movehdup_ps(a.v)};
}
inline Vec SwapPairs(Vec a) {  // 1 0 3 2 ...
  return {_mm512_permute_ps(a.v, 0xb1)};
}

// ((8 + 8) + ...) in the same tree as the AVX2 version.
inline float Sum(Vec a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
inline float MaxOf(Vec a) {
  const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

inline Vec Load(const float* p, Full = {}) {
  return {_mm512_loadu_ps(p)};
}
inline Vec Load(const float* p, Part n) {
  return {_mm512_maskz_loadu_ps(n.m, p)};
}
inline Vec Widen(__m256i h) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16))};
}
inline Vec Load(const BF16* p, Full = {}) {
  return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline Vec Load(const BF16* p, Part n) {
  return Widen(_mm256_maskz_loadu_epi16(n.m, p));
}
inline void Store(float* p, Vec a, Full = {}) {
  _mm512_storeu_ps(p, a.v);
}
inline void Store(float* p, Vec a, Part n) {
  _mm512_mask_storeu_ps(p, n.m, a.v);
}
// To nearest, ties to even; NaN stays a (quiet) NaN.
inline __m256i Narrow(Vec a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i r = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  r = _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), bits,
                           _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16));
}
inline void Store(BF16* p, Vec a, Full = {}) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), Narrow(a));
}
inline void Store(BF16* p, Vec a, Part n) {
  _mm256_mask_storeu_epi16(p, n.m, Narrow(a));
}

// Column j of a 16x16 block becomes vector j.
inline void Transpose16(Vec (&r)[16]) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i].v, r[i + 1].v);
    t[i + 1] = _mm512_unpackhi_ps(r[i].v, r[i + 1].v);
  }
  __m512 u[16];
  for (int i = 0; i < 16; i += 4) {
    u[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
    u[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int j = 0; j < 4; ++j) {
    const __m512 a = _mm512_shuffle_f32x4(u[j], u[4 + j], 0x88);
    const __m512 b = _mm512_shuffle_f32x4(u[j], u[4 + j], 0xdd);
    const __m512 c = _mm512_shuffle_f32x4(u[8 + j], u[12 + j], 0x88);
    const __m512 d = _mm512_shuffle_f32x4(u[8 + j], u[12 + j], 0xdd);
    r[j].v = _mm512_shuffle_f32x4(a, c, 0x88);
    r[8 + j].v = _mm512_shuffle_f32x4(a, c, 0xdd);
    r[4 + j].v = _mm512_shuffle_f32x4(b, d, 0x88);
    r[12 + j].v = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}

}  // namespace hone::kernels::cpu::v4
