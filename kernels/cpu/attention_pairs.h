#pragma once

// Attention's arithmetic for bf16 on AVX512-BF16: queries, keys and values as they are,
// probabilities and the gradients of scores rounded to bf16; sums in f32. Members as Floats has
// them.

#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm_words.h"

namespace hone::kernels::cpu::HONE_ISA {

#if defined(__AVX512BF16__)

struct PairWords {
  using Element = BF16;

  static int64_t Words(int64_t n) { return (n + 1) / 2; }

  static void PackKeys(const BF16* base, const int32_t* rows, int64_t ld, int64_t keys, int64_t d,
                       float* out) {
    for (int64_t j = 0; j < keys; j += kLanes) {
      const int64_t real = std::min<int64_t>(keys - j, kLanes);
      for (int64_t l = 0; l < Words(d); l += kLanes) {
        Vec r[kLanes];
        for (int64_t i = 0; i < kLanes; ++i)
          r[i] = i < real ? LoadWords(base + rows[j + i] * ld + 2 * l, d - 2 * l) : Zero();
        Transpose16(r);
        for (int64_t i = 0; i < std::min<int64_t>(Words(d) - l, kLanes); ++i)
          Store(out + (l + i) * kChunk + j, r[i]);
      }
    }
  }

  // Row l of words is keys 2l and 2l + 1.
  static void PackRows(const BF16* base, const int32_t* rows, int64_t ld, int64_t keys,
                       int64_t width, float* out) {
    for (int64_t j = 0; j < keys; j += 2)
      PackPair(base + rows[j] * ld, j + 1 < keys ? base + rows[j + 1] * ld : nullptr, width,
               out + j / 2 * RoundUp(width));
  }

  static void PackQueries(const BF16* q, int64_t ldq, int64_t head0, int64_t heads, int64_t row,
                          int64_t count, int64_t d, float* out) {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t h = 0; h < heads; ++h) {
        BF16* o = reinterpret_cast<BF16*>(out + (i * heads + h) * Words(d));
        o[2 * Words(d) - 1] = {};
        std::memcpy(o, q + (row + i) * ldq + (head0 + h) * d, d * sizeof(BF16));
      }
  }
  static const float* From(const float* q, int64_t i, int64_t d) { return q + i * Words(d); }

  static void Scores(const float* q, int64_t vectors, int64_t d, const float* kt, int64_t keys,
                     float* p) {
    ComputeWords({.a = q,
                  .a_row = Words(d),
                  .a_col = 1,
                  .b = kt,
                  .ldb = kChunk,
                  .c = p,
                  .ldc = kChunk,
                  .add = false,
                  .m = vectors,
                  .n = RoundUp(keys),
                  .words = Words(d)});
  }

  // An odd last key goes alone: the one after it, which may be invisible, takes no part.
  static void Combine(float* p, int64_t vectors, int64_t keys, const float* rows, int64_t width,
                      float* out) {
    const int64_t ld = RoundUp(width);
    for (int64_t v = 0; v < vectors; ++v) {
      float* row = p + v * kChunk;
      for (int64_t j = 0; j < keys; j += 2 * kLanes) {
        const Part low(std::min<int64_t>(keys - j, kLanes));
        const Part high(std::clamp<int64_t>(keys - j - kLanes, 0, kLanes));
        const __m512bh both =
            _mm512_cvtne2ps_pbh(Load(row + j + kLanes, high).v, Load(row + j, low).v);
        Store(row + j / 2, {reinterpret_cast<__m512>(both)});
      }
    }
    WordProduct product{.a = p,
                        .a_row = kChunk,
                        .a_col = 1,
                        .b = rows,
                        .ldb = ld,
                        .c = out,
                        .ldc = ld,
                        .add = true,
                        .m = vectors,
                        .n = ld,
                        .words = keys / 2};
    if (product.words > 0) ComputeWords(product);
    if (keys % 2 == 0) return;
    alignas(64) float last[kMaxWidth];
    const float* from = rows + keys / 2 * ld;
    for (int64_t l = 0; l < ld; l += kMaxWidth) {
      const int64_t n = std::min(kMaxWidth, ld - l);
      for (int64_t i = 0; i < n; i += kLanes)
        _mm512_store_si512(last + i, _mm512_and_si512(_mm512_loadu_si512(from + l + i),
                                                      _mm512_set1_epi32(0xffff)));
      product.a = p + keys / 2;
      product.b = last;
      product.c = out + l;
      product.n = n;
      product.words = 1;
      ComputeWords(product);
    }
  }

  // `memory`: Words(vectors) * (64 + RoundUp(width)) words.
  static void Gather(const float* p, int64_t vectors, int64_t keys, const float* q, int64_t width,
                     float* out, float* memory) {
    const int64_t ld = RoundUp(width), words = Words(vectors);
    float* right = memory + words * kChunk;
    for (int64_t v = 0; v < vectors; v += 2) {
      const float* even = p + v * kChunk;
      const bool pair = v + 1 < vectors;
      for (int64_t j = 0; j < keys; j += kLanes)
        Store(memory + v / 2 * kChunk + j,
              Interleave(Round(Load(even + j)),
                         pair ? Round(Load(even + kChunk + j)) : _mm256_setzero_si256()));
      const BF16* x = reinterpret_cast<const BF16*>(q + v * Words(width));
      PackPair(x, pair ? x + 2 * Words(width) : nullptr, width, right + v / 2 * ld);
    }
    ComputeWords({.a = memory,
                  .a_row = 1,
                  .a_col = kChunk,
                  .b = right,
                  .ldb = ld,
                  .c = out,
                  .ldc = ld,
                  .add = false,
                  .m = keys,
                  .n = ld,
                  .words = words});
  }

 private:
  static constexpr int64_t kMaxWidth = 256;

  static __m256i Round(Vec x) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.v)); }
  static void PackPair(const BF16* even, const BF16* odd, int64_t width, float* out) {
    for (int64_t l = 0; l < width; l += kLanes)
      Store(out + l, LoadPair(even + l, odd == nullptr ? nullptr : odd + l, FirstLanes(width - l)));
  }
};

#endif

// f(arithmetic) for elements of type T.
template <typename T, typename F>
void WithArithmetic(const F& f) {
#if defined(__AVX512BF16__)
  if constexpr (std::is_same_v<T, BF16>) {
    if (HasPairs()) return f(PairWords{});
  }
#endif
  f(Floats<T>{});
}

}  // namespace hone::kernels::cpu::HONE_ISA
