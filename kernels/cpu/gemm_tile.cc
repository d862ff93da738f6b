#include "kernels/cpu/gemm_tile.h"

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
  int64_t cols;  // in the last vector at least 1, at most 16 are real
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

// kWhole: every row of b may be read in whole vectors (packed, or cols is a multiple of 16).
template <int kRows, int kVecs, bool kWhole>
void RunTile(const Tile& t) {
  Vec acc[kRows][kVecs];
  HONE_UNROLL for (int i = 0; i < kRows; ++i) {
    HONE_UNROLL for (int j = 0; j < kVecs; ++j) acc[i][j] = Zero();
  }
  const Part last(t.cols - (kVecs - 1) * kLanes);
  const float* b = t.b;
  const float* a = t.a;
  for (int64_t l = 0; l < t.k; ++l, b += t.ldb, a += t.a_col) {
    Vec bv[kVecs];
    HONE_UNROLL for (int j = 0; j < kVecs; ++j) {
      bv[j] = kWhole || j < kVecs - 1 ? Load(b + j * kLanes) : Load(b + j * kLanes, last);
    }
    HONE_UNROLL for (int i = 0; i < kRows; ++i) {
      const Vec av = Set(a[i * t.a_row]);
      HONE_UNROLL for (int j = 0; j < kVecs; ++j) acc[i][j] = Fma(av, bv[j], acc[i][j]);
    }
  }
  if (t.c_dtype == DType::kF32) {
    StoreTile<float, kRows, kVecs>(t, acc);
  } else {
    StoreTile<BF16, kRows, kVecs>(t, acc);
  }
}

using TileFunction = void (*)(const Tile&);

// [rows - 1][vecs - 1][whole]
template <int... kRow>
struct TileTable {
  TileFunction f[sizeof...(kRow)][kTileVecs][2] = {
#if defined(__AVX512F__)
      {{RunTile<kRow + 1, 1, false>, RunTile<kRow + 1, 1, true>},
       {RunTile<kRow + 1, 2, false>, RunTile<kRow + 1, 2, true>}}...
#else
      {{RunTile<kRow + 1, 1, false>, RunTile<kRow + 1, 1, true>}}...
#endif
  };
};
#if defined(__AVX512F__)
constexpr TileTable<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11> kTiles;
#else
constexpr TileTable<0, 1, 2, 3, 4, 5> kTiles;
#endif

// Columns [n0, n0 + cols) as rows of kTileCols floats, padded with zeros.
void PackTransposed(const Product& p, int64_t n0, int64_t cols, float* out) {
  for (int64_t j = 0; j < kTileCols; j += kLanes) {
    const int64_t real = std::clamp<int64_t>(cols - j, 0, kLanes);
    const float* b = p.b + (n0 + j) * p.ldb;
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
      for (int64_t i = 0; i < deep; ++i) Store(out + (l + i) * kTileCols + j, r[i]);
    }
  }
}

void PackRows(const Product& p, int64_t n0, int64_t cols, float* out) {
  for (int64_t l = 0; l < p.k; ++l) {
    const float* b = p.b + l * p.ldb + n0;
    for (int64_t j = 0; j < kTileCols; j += kLanes) {
      const int64_t real = std::clamp<int64_t>(cols - j, 0, kLanes);
      Store(out + l * kTileCols + j, real == kLanes ? Load(b + j) : Load(b + j, Part(real)));
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
      const Tile t{.a = p.a + m * p.a_row,
                   .a_row = p.a_row,
                   .a_col = p.a_col,
                   .b = pack != nullptr ? pack + (n - n0) * p.k : p.b + n,
                   .ldb = pack != nullptr ? kTileCols : p.ldb,
                   .k = p.k,
                   .c = static_cast<char*>(p.c) + at,
                   .add = p.add == nullptr ? nullptr : static_cast<const char*>(p.add) + at,
                   .ldc = p.ldc,
                   .c_dtype = p.c_dtype,
                   .cols = cols};
      kTiles.f[height - 1][(cols - 1) / kLanes][pack != nullptr || cols % kLanes == 0](t);
    }
  }
}

}  // namespace

void ComputeBlock(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float* pack) {
  // Rows of b that lie far apart are packed too once they are read often enough.
  const bool packed = p.b_transposed || (m1 - m0 >= 4 * kTileRows && p.ldb > 256);
  if (packed) {
    for (int64_t n = n0; n < n1; n += kTileCols) {
      float* out = pack + (n - n0) * p.k;
      if (p.b_transposed) {
        PackTransposed(p, n, std::min(kTileCols, n1 - n), out);
      } else {
        PackRows(p, n, std::min(kTileCols, n1 - n), out);
      }
    }
  }
  RunTiles(p, m0, m1, n0, n1, packed ? pack : nullptr);
}

void ComputeUnpacked(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  RunTiles(p, m0, m1, n0, n1, nullptr);
}

}  // namespace hone::kernels::cpu::HONE_ISA
