#pragma once

// Included by simd.h only. Sixteen lanes are two registers.

#include <immintrin.h>

#include "kernels/kernels.h"

namespace hone::kernels::cpu::v3 {

struct BF16 {
  uint16_t bits;
};
struct Vec {
  __m256 a, b;
};
struct VecI {
  __m256i a, b;
};
struct Mask {
  __m256 a, b;
};

struct Full {};
struct Part {
  explicit Part(int64_t count) : n(static_cast<int>(count)) {
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    a = _mm256_cmpgt_epi32(_mm256_set1_epi32(n), i);
    b = _mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8), i);
  }
  __m256i a, b;
  int n;
};

inline Vec Zero() {
  return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
inline Vec Set(float x) {
  return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline VecI SetI(int32_t x) {
  return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
inline VecI Iota() {
  return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
          _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)};
}
inline Vec operator+(Vec x, Vec y) {
  return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}
inline Vec operator-(Vec x, Vec y) {
  return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}
inline Vec operator*(Vec x, Vec y) {
  return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}
inline Vec operator/(Vec x, Vec y) {
  return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)};
}
inline VecI operator+(VecI x, VecI y) {
  return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}
inline VecI operator-(VecI x, VecI y) {
  return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)};
}
inline VecI operator^(VecI x, VecI y) {
  return {_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)};
}
inline Vec Fma(Vec x, Vec y, Vec z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline Vec FmaSubAdd(Vec x, Vec y, Vec z) {
  return {_mm256_fmaddsub_ps(x.a, y.a, z.a), _mm256_fmaddsub_ps(x.b, y.b, z.b)};
}
inline Vec Max(Vec x, Vec y) {
  return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)};
}
inline Vec Min(Vec x, Vec y) {
  return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)};
}
inline Vec Sqrt(Vec x) {
  return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)};
}
inline Mask Less(Vec x, Vec y) {
  return {_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ)};
}
inline Mask Equal(Vec x, Vec y) {
  return {_mm256_cmp_ps(x.a, y.a, _CMP_EQ_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_EQ_OQ)};
}
inline Mask Equal(VecI x, VecI y) {
  return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(x.a, y.a)),
          _mm256_castsi256_ps(_mm256_cmpeq_epi32(x.b, y.b))};
}
inline Vec Select(Mask m, Vec yes, Vec no) {
  return {_mm256_blendv_ps(no.a, yes.a, m.a), _mm256_blendv_ps(no.b, yes.b, m.b)};
}
inline int FirstLane(Mask m) {
  return __builtin_ctz(_mm256_movemask_ps(m.a) | _mm256_movemask_ps(m.b) << 8 | 0x10000);
}
inline Mask FirstLanes(int64_t n) {
  const Part p(n >= 16 ? 16 : n);
  return {_mm256_castsi256_ps(p.a), _mm256_castsi256_ps(p.b)};
}
inline Mask MaskOf(const Part& n) {
  return {_mm256_castsi256_ps(n.a), _mm256_castsi256_ps(n.b)};
}
inline float First(Vec x) {
  return _mm256_cvtss_f32(x.a);
}
inline VecI Round(Vec x) {
  return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)};
}
inline Vec ToFloat(VecI x) {
  return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)};
}
inline Vec BitsToFloat(VecI x) {
  return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)};
}
inline VecI FloatToBits(Vec x) {
  return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)};
}
template <int kBits>
inline VecI ShiftLeft(VecI x) {
  return {_mm256_slli_epi32(x.a, kBits), _mm256_slli_epi32(x.b, kBits)};
}
template <int kBits>
inline VecI ShiftRight(VecI x) {
  return {_mm256_srli_epi32(x.a, kBits), _mm256_srli_epi32(x.b, kBits)};
}
template <int kBits>
inline VecI ShiftRightSigned(VecI x) {
  return {_mm256_srai_epi32(x.a, kBits), _mm256_srai_epi32(x.b, kBits)};
}
inline void Multiply(__m256i x, __m256i y, __m256i* hi, __m256i* lo) {
  const __m256i even = _mm256_mul_epu32(x, y);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(y, 32));
  *hi = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
  *lo = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}
inline void Multiply(VecI x, VecI y, VecI* hi, VecI* lo) {
  Multiply(x.a, y.a, &hi->a, &lo->a);
  Multiply(x.b, y.b, &hi->b, &lo->b);
}

inline Vec EvenLanes(Vec x) {
  return {_mm256_moveldup_ps(x.a), _mm256_moveldup_ps(x.b)};
}
inline Vec OddLanes(Vec x) {
  return {_mm256_movehdup_ps(x.a), _mm256_movehdup_ps(x.b)};
}
inline Vec SwapPairs(Vec x) {
  return {_mm256_permute_ps(x.a, 0xb1), _mm256_permute_ps(x.b, 0xb1)};
}

inline float Sum(Vec x) {
  const __m256 h = _mm256_add_ps(x.a, x.b);
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
inline float MaxOf(Vec x) {
  const __m256 h = _mm256_max_ps(x.a, x.b);
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

inline Vec Load(const float* p, Full = {}) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline Vec Load(const float* p, Part n) {
  return {_mm256_maskload_ps(p, n.a), _mm256_maskload_ps(p + 8, n.b)};
}
inline __m256 Widen(__m128i h) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
inline Vec Load(const BF16* p, Full = {}) {
  return {Widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          Widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
inline Vec Load(const BF16* p, Part n) {
  BF16 all[16] = {};
  for (int i = 0; i < n.n; ++i) all[i] = p[i];
  return Load(all);
}
inline void Store(float* p, Vec x, Full = {}) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline void Store(float* p, Vec x, Part n) {
  _mm256_maskstore_ps(p, n.a, x.a);
  _mm256_maskstore_ps(p + 8, n.b, x.b);
}
// To nearest, ties to even, in the low half of each 32-bit lane; NaN stays a (quiet) NaN.
inline __m256i Narrow(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i r = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  return _mm256_srli_epi32(_mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(r),
                                                                _mm256_castsi256_ps(quiet), nan)),
                           16);
}
inline void Store(BF16* p, Vec x, Full = {}) {
  const __m256i both = _mm256_packus_epi32(Narrow(x.a), Narrow(x.b));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(both, 0xd8));
}
inline void Store(BF16* p, Vec x, Part n) {
  BF16 all[16];
  Store(all, x);
  for (int i = 0; i < n.n; ++i) p[i] = all[i];
}

inline void Transpose8(__m256 (&r)[8]) {
  __m256 t[8], u[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int j = 0; j < 4; ++j) {
    r[j] = _mm256_permute2f128_ps(u[j], u[4 + j], 0x20);
    r[4 + j] = _mm256_permute2f128_ps(u[j], u[4 + j], 0x31);
  }
}
inline void Transpose16(Vec (&r)[16]) {
  __m256 quarter[4][8];  // [row half][column half]
  for (int i = 0; i < 8; ++i) {
    quarter[0][i] = r[i].a;
    quarter[1][i] = r[i].b;
    quarter[2][i] = r[8 + i].a;
    quarter[3][i] = r[8 + i].b;
  }
  for (auto& q : quarter) Transpose8(q);
  for (int i = 0; i < 8; ++i) {
    r[i] = {quarter[0][i], quarter[2][i]};
    r[8 + i] = {quarter[1][i], quarter[3][i]};
  }
}

}  // namespace hone::kernels::cpu::v3
