// f32: one fused multiply-add per term, in registers.

#include "kernels/cpu/gemm_tile.h"

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm_micro.h"

namespace hone::kernels::cpu::HONE_ISA {
namespace {

const float* Real(const void* p) {
  return static_cast<const float*>(p);
}

struct F32 {
  using Element = float;
  static constexpr int64_t kTerms = 1;
  static Vec MulAdd(Vec a, Vec b, Vec c) { return Fma(a, b, c); }
  static void PackColumns(const Product& p, int64_t n0, int64_t n1, float* out);
  static void PackRows(const Product& p, int64_t m0, int64_t m1, float* out);
};

// Reads in the order in which the elements lie.
void F32::PackColumns(const Product& p, int64_t n0, int64_t n1, float* out) {
  if (!p.b_transposed) {
    for (int64_t l = 0; l < p.k; ++l)
      for (int64_t n = n0; n < n1; n += kLanes) {
        const float* b = Real(p.b) + l * p.ldb + n;
        const int64_t at = n - n0, panel = at / kTileCols * kTileCols;
        Store(out + panel * p.k + l * kTileCols + at - panel,
              n + kLanes <= n1 ? Load(b) : Load(b, Part(n1 - n)));
      }
    return;
  }
  for (int64_t n = n0; n < n1; n += kLanes) {
    const int64_t real = std::min<int64_t>(n1 - n, kLanes);
    const int64_t at = n - n0, panel = at / kTileCols * kTileCols;
    const float* b = Real(p.b) + n * p.ldb;
    float* to = out + panel * p.k + at - panel;
    for (int64_t l = 0; l < p.k; l += kLanes) {
      const int64_t deep = std::min<int64_t>(p.k - l, kLanes);
      Vec r[kLanes];
      if (deep == kLanes) {
        for (int64_t i = 0; i < kLanes; ++i) r[i] = i < real ? Load(b + i * p.ldb + l) : Zero();
      } else {
        const Part part(deep);
        for (int64_t i = 0; i < kLanes; ++i)
          r[i] = i < real ? Load(b + i * p.ldb + l, part) : Zero();
      }
      Transpose16(r);
      for (int64_t i = 0; i < deep; ++i) Store(to + (l + i) * kTileCols, r[i]);
    }
  }
}

void F32::PackRows(const Product& p, int64_t m0, int64_t m1, float* out) {
  if (p.a_row == 1) {
    for (int64_t l = 0; l < p.k; ++l)
      for (int64_t m = m0; m < m1; m += kTileRows) {
        const Part lanes(std::min<int64_t>(m1 - m, kTileRows));
        Store(out + (m - m0) * p.k + l * kTileRows, Load(Real(p.a) + m + l * p.a_col, lanes),
              lanes);
      }
    return;
  }
  for (int64_t m = m0; m < m1; m += kTileRows) {
    const int64_t height = std::min<int64_t>(m1 - m, kTileRows);
    const float* a = Real(p.a) + m * p.a_row;
    const Part lanes(height);
    float* to = out + (m - m0) * p.k;
    for (int64_t l = 0; l < p.k; l += kLanes) {
      const int64_t deep = std::min<int64_t>(p.k - l, kLanes);
      Vec r[kLanes];
      for (int64_t i = 0; i < kLanes; ++i)
        r[i] = i < height ? Load(a + i * p.a_row + l, Part(deep)) : Zero();
      Transpose16(r);
      for (int64_t i = 0; i < deep; ++i) Store(to + (l + i) * kTileRows, r[i], lanes);
    }
  }
}

// `pack`: the packed block, or null: b as it lies.
void RunTiles(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1, const float* pack) {
  const int64_t rows = m1 - m0, tiles = (rows + kTileRows - 1) / kTileRows;
  const int64_t c_size = p.c_dtype == DType::kF32 ? 4 : 2;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t m = m0 + rows * i / tiles, height = m0 + rows * (i + 1) / tiles - m;
    for (int64_t n = n0; n < n1; n += kTileCols) {
      const int64_t cols = std::min(kTileCols, n1 - n);
      const int64_t at = (m * p.ldc + n) * c_size;
      const Tile t{.a = reinterpret_cast<const char*>(Real(p.a) + m * p.a_row),
                   .a_row = 4 * p.a_row,
                   .a_col = 4 * p.a_col,
                   .b = pack != nullptr ? pack + (n - n0) * p.k : Real(p.b) + n,
                   .ldb = pack != nullptr ? kTileCols : p.ldb,
                   .words = p.k,
                   .c = static_cast<char*>(p.c) + at,
                   .add = p.add == nullptr ? nullptr : static_cast<const char*>(p.add) + at,
                   .ldc = p.ldc,
                   .c_dtype = p.c_dtype,
                   .start = nullptr,
                   .sums = nullptr,
                   .ld_sums = 0,
                   .cols = cols};
      pack != nullptr || cols % kLanes == 0 ? Run<F32, kWhole>(t, height)
                                            : Run<F32, kMasked>(t, height);
    }
  }
}

bool IsDeep(const Product& p, int64_t rows) {
  // Gradients of weights walk down columns: rows of a and b that lie far apart are worth gathering.
  constexpr int64_t kFar = 128;
  if (p.a_row == 1) return p.k > 2 * kDeep && std::max(p.a_col, p.ldb) > kFar;
  return p.k > 4 * kDeep && rows >= 4 * kTileRows;
}

}  // namespace

void ComputeBlock(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  if (p.dtype == DType::kBF16)
    return HasAmx() ? ComputeBlockAmx(p, m0, m1, n0, n1) : ComputeBlockPairs(p, m0, m1, n0, n1);
  if (IsDeep(p, m1 - m0)) return ComputeDeep<F32>(p, m0, m1, n0, n1);
  // Rows of b that lie apart are packed too once they are read often enough.
  if (!p.b_transposed && (m1 - m0 < 4 * kTileRows || p.ldb <= kTileCols))
    return RunTiles(p, m0, m1, n0, n1, nullptr);
  // As many columns at a time as the second-level cache holds.
  constexpr int64_t kPacked = 128 * 1024;
  const int64_t width =
      std::max<int64_t>(kPacked / std::max<int64_t>(p.k, 1) / kTileCols, 1) * kTileCols;
  float* pack = static_cast<float*>(Scratch(4 * std::max<int64_t>(p.k, 1) * width));
  for (; n0 < n1; n0 += width) {
    const int64_t stop = std::min(n1, n0 + width);
    F32::PackColumns(p, n0, stop, pack);
    RunTiles(p, m0, m1, n0, stop, pack);
  }
}

void ComputeUnpacked(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  RunTiles(p, m0, m1, n0, n1, nullptr);
}

}  // namespace hone::kernels::cpu::HONE_ISA
