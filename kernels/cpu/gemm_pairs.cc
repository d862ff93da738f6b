// bf16 products on AVX512-BF16: an instruction adds two terms to each of sixteen sums, the odd one
// first, each with a fused multiply-add in f32 (denormals count as zero).

#include "kernels/cpu/gemm_micro.h"
#include "kernels/cpu/gemm_words.h"

namespace hone::kernels::cpu::HONE_ISA {

#if !defined(__AVX512BF16__)

void ComputeBlockPairs(const Product&, int64_t, int64_t, int64_t, int64_t) {
  __builtin_trap();  // HasBf16() implies the other instruction set
}
void ComputeWords(const WordProduct&) {
  __builtin_trap();
}

#else

namespace {

const BF16* Real(const void* p) {
  return static_cast<const BF16*>(p);
}

struct Pairs {
  using Element = BF16;
  static constexpr int64_t kTerms = 2;
  static Vec MulAdd(Vec a, Vec b, Vec c) {
    return {
        _mm512_dpbf16_ps(c.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
  }
  static void PackColumns(const Product& p, int64_t n0, int64_t n1, float* out);
  static void PackRows(const Product& p, int64_t m0, int64_t m1, float* out);
};

// Row l of words whose elements along k are `ld` apart.
struct RowPair {
  RowPair(const void* p, int64_t ld, int64_t l, int64_t k)
      : even(Real(p) + 2 * l * ld), odd(2 * l + 1 < k ? even + ld : nullptr) {}
  Vec At(int64_t i, int64_t lanes) const {
    return LoadPair(even + i, odd == nullptr ? nullptr : odd + i, FirstLanes(lanes));
  }
  const BF16* even;
  const BF16* odd;
};

void Pairs::PackColumns(const Product& p, int64_t n0, int64_t n1, float* out) {
  const int64_t words = Words<Pairs>(p.k);
  const auto place = [&](int64_t n) {  // of word 0 of column n
    const int64_t at = n - n0, panel = at / kTileCols * kTileCols;
    return out + panel * words + at - panel;
  };
  if (!p.b_transposed) {
    for (int64_t l = 0; l < words; ++l) {
      const RowPair row(p.b, p.ldb, l, p.k);
      for (int64_t n = n0; n < n1; n += kLanes)
        Store(place(n) + l * kTileCols, row.At(n, std::min<int64_t>(n1 - n, kLanes)));
    }
    return;
  }
  for (int64_t n = n0; n < n1; n += kLanes)
    for (int64_t l = 0; l < words; l += kLanes) {
      Vec r[kLanes];
      LoadWords(Real(p.b) + n * p.ldb + 2 * l, p.ldb, std::min<int64_t>(n1 - n, kLanes),
                p.k - 2 * l, r);
      Transpose16(r);
      float* to = place(n) + l * kTileCols;
      for (int64_t i = 0; i < std::min<int64_t>(words - l, kLanes); ++i)
        Store(to + i * kTileCols, r[i]);
    }
}

void Pairs::PackRows(const Product& p, int64_t m0, int64_t m1, float* out) {
  const int64_t words = Words<Pairs>(p.k);
  if (p.a_row == 1) {
    for (int64_t l = 0; l < words; ++l) {
      const RowPair row(p.a, p.a_col, l, p.k);
      for (int64_t m = m0; m < m1; m += kTileRows) {
        const int64_t height = std::min<int64_t>(m1 - m, kTileRows);
        Store(out + (m - m0) * words + l * kTileRows, row.At(m, height), Part(height));
      }
    }
    return;
  }
  for (int64_t m = m0; m < m1; m += kTileRows) {
    const int64_t height = std::min<int64_t>(m1 - m, kTileRows);
    for (int64_t l = 0; l < words; l += kLanes) {
      Vec r[kLanes];
      LoadWords(Real(p.a) + m * p.a_row + 2 * l, p.a_row, height, p.k - 2 * l, r);
      Transpose16(r);
      float* to = out + (m - m0) * words + l * kTileRows;
      for (int64_t i = 0; i < std::min<int64_t>(words - l, kLanes); ++i)
        Store(to + i * kTileRows, r[i], Part(height));
    }
  }
}

}  // namespace

void ComputeBlockPairs(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  if (p.b_transposed && p.a_col == 1 && m1 - m0 <= kFewRows && p.k % 2 == 0)
    return ComputeTurned<Pairs>(p, m0, m1, n0, n1);
  ComputeDeep<Pairs>(p, m0, m1, n0, n1);
}

void ComputeWords(const WordProduct& p) {
  const int64_t tiles = (p.m + kTileRows - 1) / kTileRows;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t m = p.m * i / tiles;
    for (int64_t n = 0; n < p.n; n += kTileCols) {
      float* c = p.c + m * p.ldc + n;
      Run<Pairs, kPartial>({.a = reinterpret_cast<const char*>(p.a + m * p.a_row),
                            .a_row = 4 * p.a_row,
                            .a_col = 4 * p.a_col,
                            .b = p.b + n,
                            .ldb = p.ldb,
                            .words = p.words,
                            .c = nullptr,
                            .add = nullptr,
                            .ldc = 0,
                            .c_dtype = DType::kF32,
                            .start = p.add ? c : nullptr,
                            .sums = c,
                            .ld_sums = p.ldc,
                            .cols = std::min(kTileCols, p.n - n)},
                           p.m * (i + 1) / tiles - m);
    }
  }
}

#endif

}  // namespace hone::kernels::cpu::HONE_ISA
