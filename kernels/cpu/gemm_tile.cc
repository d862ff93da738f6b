// f32: one fused multiply-add per term, in registers.

#include "kernels/cpu/gemm_tile.h"

#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {
namespace {

struct Tile {
  const float* a;
  int64_t a_row, a_col;
  const float* b;  // row l at b + l * ldb
  int64_t ldb;
  int64_t k;
  void* c;
  const void* add;
  int64_t ldc;
  DType c_dtype;
  const float* start;  // sums of the terms before these, rows at ld_sums; null: none
  float* sums;         // where the sums go instead of c; null: to c
  int64_t ld_sums;     // a multiple of 16
  int64_t cols;        // in the last vector at least 1, at most 16 are real
};

template <typename T, int kRows, int kVecs>
inline __attribute__((always_inline)) void StoreTile(const Tile& t, Vec (&acc)[kRows][kVecs]) {
  T* c = static_cast<T*>(t.c);
  const T* add = static_cast<const T*>(t.add);
  const Part last(t.cols - (kVecs - 1) * kLanes);
  HONE_UNROLL for (int i = 0; i < kRows; ++i) {
    HONE_UNROLL for (int j = 0; j < kVecs; ++j) {
      const int64_t at = i * t.ldc + j * kLanes;
      if (j < kVecs - 1) {
        Store(c + at, add == nullptr ? acc[i][j] : acc[i][j] + Load(add + at));
      } else {
        Store(c + at, add == nullptr ? acc[i][j] : acc[i][j] + Load(add + at, last), last);
      }
    }
  }
}

enum Kind {
  kMasked,   // the last vector of a row of b is read in part
  kWhole,    // b is packed, or cols is a multiple of 16
  kPartial,  // whole, and sums of earlier and later terms are elsewhere (Tile::start, Tile::sums)
};

template <int kRows, int kVecs, Kind kKind>
void RunTile(const Tile& t) {
  Vec acc[kRows][kVecs];
  if (kKind != kPartial || t.start == nullptr) {
    HONE_UNROLL for (int i = 0; i < kRows; ++i) {
      HONE_UNROLL for (int j = 0; j < kVecs; ++j) acc[i][j] = Zero();
    }
  } else {
    HONE_UNROLL for (int i = 0; i < kRows; ++i) {
      HONE_UNROLL for (int j = 0; j < kVecs; ++j) {
        acc[i][j] = Load(t.start + i * t.ld_sums + j * kLanes);
      }
    }
  }
  const Part last(t.cols - (kVecs - 1) * kLanes);
  const float* b = t.b;
  const float* a = t.a;
  for (int64_t l = 0; l < t.k; ++l, b += t.ldb, a += t.a_col) {
    Vec bv[kVecs];
    HONE_UNROLL for (int j = 0; j < kVecs; ++j) {
      bv[j] = kKind != kMasked || j < kVecs - 1 ? Load(b + j * kLanes) : Load(b + j * kLanes, last);
    }
    HONE_UNROLL for (int i = 0; i < kRows; ++i) {
      const Vec av = Set(a[i * t.a_row]);
      HONE_UNROLL for (int j = 0; j < kVecs; ++j) acc[i][j] = Fma(av, bv[j], acc[i][j]);
    }
  }
  if (kKind == kPartial && t.sums != nullptr) {
    HONE_UNROLL for (int i = 0; i < kRows; ++i) {
      HONE_UNROLL for (int j = 0; j < kVecs; ++j) {
        Store(t.sums + i * t.ld_sums + j * kLanes, acc[i][j]);
      }
    }
  } else if (t.c_dtype == DType::kF32) {
    StoreTile<float, kRows, kVecs>(t, acc);
  } else {
    StoreTile<BF16, kRows, kVecs>(t, acc);
  }
}

using TileFunction = void (*)(const Tile&);

template <int kRows, int kVecs>
constexpr TileFunction kKinds[3] = {RunTile<kRows, kVecs, kMasked>, RunTile<kRows, kVecs, kWhole>,
                                    RunTile<kRows, kVecs, kPartial>};

template <int... kRow>
struct TileTable {
  const TileFunction* f[sizeof...(kRow)][kTileVecs] = {
#if defined(__AVX512F__)
      {kKinds<kRow + 1, 1>, kKinds<kRow + 1, 2>}...
#else
      {kKinds<kRow + 1, 1>}...
#endif
  };
};
#if defined(__AVX512F__)
constexpr TileTable<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11> kTiles;  // [rows - 1][vecs - 1][kind]
#else
constexpr TileTable<0, 1, 2, 3, 4, 5> kTiles;
#endif

const float* Real(const void* p) {
  return static_cast<const float*>(p);
}

// Columns [n0, n1) in panels of kTileCols: k rows of one panel, padded with zeros, then the next
// panel. Reads in the order in which the elements lie.
void Pack(const Product& p, int64_t n0, int64_t n1, float* out) {
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

// `pack`: the packed block, or null: b as it lies.
void RunTiles(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1, const float* pack) {
  const int64_t rows = m1 - m0, tiles = (rows + kTileRows - 1) / kTileRows;
  const int64_t c_size = p.c_dtype == DType::kF32 ? 4 : 2;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t m = m0 + rows * i / tiles, height = m0 + rows * (i + 1) / tiles - m;
    for (int64_t n = n0; n < n1; n += kTileCols) {
      const int64_t cols = std::min(kTileCols, n1 - n);
      const int64_t at = (m * p.ldc + n) * c_size;
      const Tile t{.a = Real(p.a) + m * p.a_row,
                   .a_row = p.a_row,
                   .a_col = p.a_col,
                   .b = pack != nullptr ? pack + (n - n0) * p.k : Real(p.b) + n,
                   .ldb = pack != nullptr ? kTileCols : p.ldb,
                   .k = p.k,
                   .c = static_cast<char*>(p.c) + at,
                   .add = p.add == nullptr ? nullptr : static_cast<const char*>(p.add) + at,
                   .ldc = p.ldc,
                   .c_dtype = p.c_dtype,
                   .start = nullptr,
                   .sums = nullptr,
                   .ld_sums = 0,
                   .cols = cols};
      kTiles.f[height - 1][(cols - 1) / kLanes]
              [pack != nullptr || cols % kLanes == 0 ? kWhole : kMasked](t);
    }
  }
}

// Long sums: blocks of kDeep terms, both sides packed, with the sums of a block of the result
// waiting in memory. An f32 that is stored and loaded again is the same f32, so the result has the
// bits of one long loop.
constexpr int64_t kDeep = 256, kDeepRows = 24 * kTileRows, kDeepCols = 256;
constexpr int64_t kDeepMemory = kDeep * kDeepCols + kDeepRows * kDeepCols + kDeep * kDeepRows;

bool IsDeep(const Product& p, int64_t rows) {
  // Gradients of weights walk down columns: rows of a and b that lie far apart are worth gathering.
  constexpr int64_t kFar = 128;
  if (p.a_row == 1) return p.k > 2 * kDeep && std::max(p.a_col, p.ldb) > kFar;
  return p.k > 4 * kDeep && rows >= 4 * kTileRows;
}

// Rows [m0, m1) in panels of kTileRows: k columns of one panel, then the next panel.
void PackRowsOfA(const Product& p, int64_t m0, int64_t m1, float* out) {
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

void ComputeDeep(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float* memory) {
  float* pack_b = memory;
  float* sums = pack_b + kDeep * kDeepCols;
  float* pack_a = sums + kDeepRows * kDeepCols;
  const int64_t size = p.c_dtype == DType::kF32 ? 4 : 2;
  for (int64_t k0 = 0; k0 < p.k; k0 += kDeep) {
    Product part = p;
    part.k = std::min(kDeep, p.k - k0);
    part.a = Real(p.a) + k0 * p.a_col;
    part.b = Real(p.b) + k0 * (p.b_transposed ? 1 : p.ldb);
    Pack(part, n0, n1, pack_b);
    PackRowsOfA(part, m0, m1, pack_a);
    for (int64_t m = m0; m < m1; m += kTileRows) {
      const int64_t height = std::min<int64_t>(kTileRows, m1 - m);
      for (int64_t n = n0; n < n1; n += kTileCols) {
        const int64_t cols = std::min(kTileCols, n1 - n), at = (m * p.ldc + n) * size;
        float* sum = sums + (m - m0) * kDeepCols + n - n0;
        const Tile t{.a = pack_a + (m - m0) * part.k,
                     .a_row = 1,
                     .a_col = kTileRows,
                     .b = pack_b + (n - n0) * part.k,
                     .ldb = kTileCols,
                     .k = part.k,
                     .c = static_cast<char*>(p.c) + at,
                     .add = p.add == nullptr ? nullptr : static_cast<const char*>(p.add) + at,
                     .ldc = p.ldc,
                     .c_dtype = p.c_dtype,
                     .start = k0 == 0 ? nullptr : sum,
                     .sums = k0 + kDeep < p.k ? sum : nullptr,
                     .ld_sums = kDeepCols,
                     .cols = cols};
        kTiles.f[height - 1][(cols - 1) / kLanes][kPartial](t);
      }
    }
  }
}

}  // namespace

void ComputeBlock(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  if (p.dtype == DType::kBF16) return ComputeBlockBF16(p, m0, m1, n0, n1);
  if (IsDeep(p, m1 - m0)) {
    float* memory = static_cast<float*>(Scratch(4 * kDeepMemory));
    for (int64_t m = m0; m < m1; m += kDeepRows)
      for (int64_t n = n0; n < n1; n += kDeepCols)
        ComputeDeep(p, m, std::min(m1, m + kDeepRows), n, std::min(n1, n + kDeepCols), memory);
    return;
  }
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
    Pack(p, n0, stop, pack);
    RunTiles(p, m0, m1, n0, stop, pack);
  }
}

void ComputeUnpacked(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  RunTiles(p, m0, m1, n0, n1, nullptr);
}

}  // namespace hone::kernels::cpu::HONE_ISA
