#pragma once

// bf16 in pairs along k: what AMX and AVX512-BF16 multiply. A word of 32 bits holds the even term
// in its low half.

#include "kernels/cpu/simd.h"

#if defined(__AVX512F__)

namespace hone::kernels::cpu::v4 {

// Sixteen words of elements that lie together along k; zeros beyond `terms` of them.
inline Vec LoadWords(const BF16* p, int64_t terms) {
  const __mmask32 halves = terms >= 32 ? ~__mmask32{0} : (__mmask32{1} << terms) - 1;
  return {_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(halves, p))};
}

// The same of up to 16 rows at distance `ld`; zeros beyond `rows`.
inline void LoadWords(const BF16* p, int64_t ld, int64_t rows, int64_t terms, Vec (&r)[16]) {
  for (int64_t i = 0; i < 16; ++i) r[i] = i < rows ? LoadWords(p + i * ld, terms) : Zero();
}

// Sixteen pairs: even in the low halves of words, odd in the high halves.
inline Vec Interleave(__m256i even, __m256i odd) {
  return {_mm512_castsi512_ps(_mm512_or_si512(_mm512_cvtepu16_epi32(even),
                                              _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16)))};
}

// The words of the first `lanes` elements of a row and of the row below it; `odd` null: zeros.
inline Vec LoadPair(const BF16* even, const BF16* odd, __mmask16 lanes) {
  return Interleave(_mm256_maskz_loadu_epi16(lanes, even),
                    odd == nullptr ? _mm256_setzero_si256() : _mm256_maskz_loadu_epi16(lanes, odd));
}

}  // namespace hone::kernels::cpu::v4

#endif
