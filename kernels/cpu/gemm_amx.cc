// bf16 products on AMX tiles. A tile of the result, 16 x 16 in f32, takes 32 terms at a time, from
// the first to the last, whatever the rest of the matrix looks like: rows do not depend on their
// number.
//
// An instruction wants one side as rows of k (the "row side") and the other with pairs of k
// interleaved (the "column side"). The sides are interchangeable: for A B^T the smaller one is
// packed and the other read where it lies, and if that was A the tiles are turned over on the way
// out.

#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/gemm_words.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {

#if !defined(__AMX_BF16__)

void ComputeBlockAmx(const Product&, int64_t, int64_t, int64_t, int64_t) {
  __builtin_trap();  // HasAmx() implies the other instruction set
}

#else

namespace {

constexpr int64_t kStep = 32;          // terms per instruction
constexpr int64_t kTile = 16;          // rows or columns of a tile
constexpr int64_t kPanel = 2 * kTile;  // of the 2 x 2 tiles that the registers hold
constexpr int64_t kInPlace = 64;
constexpr int64_t kTileWords = 16 * 16;  // 32-bit words of a tile

// A matrix side: element (i, l) is p[i * ld + l] if k is contiguous, else p[l * ld + i].
struct Side {
  const BF16* p;
  int64_t ld;
  bool k_contiguous;
};

// Where the instructions find the tiles of a row panel.
struct RowPanel {
  const char* first;  // tile of rows 0 .. 15, step 0
  int64_t second;     // bytes to the tile of rows 16 .. 31
  int64_t step;       // bytes to the next step
  int64_t row;        // bytes between rows
  int64_t steps;      // steps that lie so; the last one may be in `tail`
  const char* tail;   // two packed tiles, or null
};

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Up to 16 rows from l: words of step l / 32, zeros beyond rows and k.
void LoadStep(const Side& s, int64_t row, int64_t rows, int64_t l, int64_t k, Vec (&r)[16]) {
  LoadWords(s.p + row * s.ld + l, s.ld, rows, k - l, r);
}

// The same of a side whose k is not contiguous, interleaved: word i of r[j] is elements (row + i, l
// + 2j) and (row + i, l + 2j + 1).
void LoadPairs(const Side& s, int64_t row, int64_t rows, int64_t l, int64_t k, Vec (&r)[16]) {
  const BF16* p = s.p + l * s.ld + row;
  if (rows == kTile && l + kStep <= k) {
    for (int64_t j = 0; j < 16; ++j, p += 2 * s.ld)
      r[j] = Interleave(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + s.ld)));
    return;
  }
  for (int64_t j = 0; j < 16; ++j, p += 2 * s.ld) {
    const int64_t at = l + 2 * j;
    r[j] = at < k ? LoadPair(p, at + 1 < k ? p + s.ld : nullptr, FirstLanes(rows)) : Zero();
  }
}

void StoreTileWords(const Vec (&r)[16], float* out) {
  for (int64_t j = 0; j < 16; ++j) Store(out + j * 16, r[j]);
}

// Column-side tiles of columns [from, to): for each 16 columns and each step 16 pairs of k x 16
// columns. Reads in the order in which the elements lie.
void PackColumns(const Side& s, int64_t from, int64_t to, int64_t k, float* out) {
  const int64_t steps = (k + kStep - 1) / kStep, panels = (to - from + kTile - 1) / kTile;
  const auto pack = [&](int64_t panel, int64_t step) {
    const int64_t col = from + panel * kTile, cols = std::min(kTile, to - col);
    Vec r[16];
    if (s.k_contiguous) {
      LoadStep(s, col, cols, step * kStep, k, r);
      Transpose16(r);
    } else {
      LoadPairs(s, col, cols, step * kStep, k, r);
    }
    StoreTileWords(r, out + (panel * steps + step) * kTileWords);
  };
  if (s.k_contiguous) {
    for (int64_t panel = 0; panel < panels; ++panel)
      for (int64_t step = 0; step < steps; ++step) pack(panel, step);
  } else {
    for (int64_t step = 0; step < steps; ++step)
      for (int64_t panel = 0; panel < panels; ++panel) pack(panel, step);
  }
}

// One row-side tile.
void PackRowTile(const Side& s, int64_t row, int64_t rows, int64_t l, int64_t k, float* out) {
  Vec r[16];
  if (s.k_contiguous) {
    LoadStep(s, row, rows, l, k, r);
  } else {
    LoadPairs(s, row, rows, l, k, r);
    Transpose16(r);
  }
  StoreTileWords(r, out);
}

// Rows [row, row + rows), rows <= 32: where they lie if wanted and possible, else packed into
// `memory` (tiles of the first 16 rows by step, then of the second).
RowPanel PrepareRows(const Side& s, int64_t row, int64_t rows, int64_t k, bool in_place,
                     float* memory) {
  const int64_t steps = (k + kStep - 1) / kStep, whole = k / kStep;
  if (in_place && s.k_contiguous && rows == kPanel) {
    RowPanel p{reinterpret_cast<const char*>(s.p + row * s.ld),
               kTile * s.ld * 2,
               64,
               s.ld * 2,
               whole,
               nullptr};
    if (whole < steps) {
      PackRowTile(s, row, kTile, whole * kStep, k, memory);
      PackRowTile(s, row + kTile, kTile, whole * kStep, k, memory + kTileWords);
      p.tail = reinterpret_cast<const char*>(memory);
    }
    return p;
  }
  for (int64_t i = 0; i < steps; ++i)
    for (int64_t half = 0; half * kTile < rows; ++half)
      PackRowTile(s, row + half * kTile, std::min(kTile, rows - half * kTile), i * kStep, k,
                  memory + (half * steps + i) * kTileWords);
  return {reinterpret_cast<const char*>(memory),
          steps * kTileWords * 4,
          kTileWords * 4,
          64,
          steps,
          nullptr};
}

// Sums of kRows x kCols tiles into `out`: tile (i, j) at i * down + j * right, rows ld_out bytes
// apart.
template <int kRows, int kCols>
void RunTiles(const RowPanel& a, const float* b, int64_t b_second, float* out, int64_t down,
              int64_t right, int64_t ld_out) {
  _tile_zero(0);
  if constexpr (kCols > 1) _tile_zero(1);
  if constexpr (kRows > 1) _tile_zero(2);
  if constexpr (kRows > 1 && kCols > 1) _tile_zero(3);
  const char* first = a.first;
  int64_t row = a.row, second = a.second, step = a.step;
  for (int64_t left = a.steps + (a.tail != nullptr); left > 0; --left) {
    if (left == 1 && a.tail != nullptr) {
      first = a.tail;
      row = 64;
      second = kTileWords * 4;
    }
    _tile_loadd(6, b, 64);
    _tile_loadd(4, first, row);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kCols > 1) {
      _tile_loadd(7, b + b_second, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRows > 1) {
      _tile_loadd(5, first + second, row);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kCols > 1) _tile_dpbf16ps(3, 5, 7);
    }
    first += step;
    b += kTileWords;
  }
  _tile_stored(0, out, ld_out);
  if constexpr (kCols > 1) _tile_stored(1, out + right, ld_out);
  if constexpr (kRows > 1) _tile_stored(2, out + down, ld_out);
  if constexpr (kRows > 1 && kCols > 1) _tile_stored(3, out + down + right, ld_out);
}

// rows x cols of a tile to c at (m, n).
template <typename T>
void Emit(const Product& p, const float* tile, bool turned, int64_t m, int64_t n, int64_t rows,
          int64_t cols) {
  T* c = static_cast<T*>(p.c) + m * p.ldc + n;
  const T* add = p.add == nullptr ? nullptr : static_cast<const T*>(p.add) + m * p.ldc + n;
  Vec r[16];
  for (int64_t i = 0; i < 16; ++i) r[i] = Load(tile + i * 16);
  if (turned) Transpose16(r);
  const Part lanes(cols);
  for (int64_t i = 0; i < rows; ++i)
    Store(c + i * p.ldc, add == nullptr ? r[i] : r[i] + Load(add + i * p.ldc, lanes), lanes);
}

}  // namespace

void ComputeBlockAmx(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  Side rows{static_cast<const BF16*>(p.a), p.a_col == 1 ? p.a_row : p.a_col, p.a_col == 1};
  Side cols{static_cast<const BF16*>(p.b), p.ldb, p.b_transposed};
  const bool turned = p.b_transposed == (p.a_col == 1) && m1 - m0 < n1 - n0;
  if (turned) {
    std::swap(rows, cols);
    std::swap(m0, n0);
    std::swap(m1, n1);
  }
  const int64_t steps = (p.k + kStep - 1) / kStep;
  // As many packed columns at a time as the second-level cache holds.
  constexpr int64_t kPackedWords = 192 * 1024;
  const int64_t width = std::max<int64_t>(kPackedWords / (steps * kTileWords * 2 + 1), 1) * kPanel;
  const int64_t panel_words = steps * kTileWords;
  float* out = static_cast<float*>(Scratch(
      4 * (4 * kTileWords + 2 * panel_words + 2 * kTileWords + width / kTile * panel_words)));
  float* row_memory = out + 4 * kTileWords;
  float* packed = row_memory + 2 * panel_words + 2 * kTileWords;
  const bool plain = p.c_dtype == DType::kF32 && p.add == nullptr && !turned;
  const TileConfig config;
  _tile_loadconfig(&config);
  for (; n0 < n1; n0 += width) {
    const int64_t stop = std::min(n1, n0 + width);
    PackColumns(cols, n0, stop, p.k, packed);
    // Rows that many columns read are worth a copy: where they lie, they share sets of the cache.
    const bool in_place = stop - n0 <= kInPlace;
    for (int64_t m = m0; m < m1; m += kPanel) {
      const int64_t height = std::min(kPanel, m1 - m);
      const RowPanel a = PrepareRows(rows, m, height, p.k, in_place, row_memory);
      for (int64_t n = n0; n < stop; n += kPanel) {
        const int64_t wide = std::min(kPanel, stop - n);
        const float* b = packed + (n - n0) / kTile * panel_words;
        const auto run = height > kTile ? (wide > kTile ? RunTiles<2, 2> : RunTiles<2, 1>)
                                        : (wide > kTile ? RunTiles<1, 2> : RunTiles<1, 1>);
        if (plain && height % kTile == 0 && wide % kTile == 0) {
          run(a, b, panel_words, static_cast<float*>(p.c) + m * p.ldc + n, kTile * p.ldc, kTile,
              4 * p.ldc);
          continue;
        }
        run(a, b, panel_words, out, 2 * kTileWords, kTileWords, 64);
        for (int64_t i = 0; i * kTile < height; ++i)
          for (int64_t j = 0; j * kTile < wide; ++j) {
            int64_t row = m + i * kTile, r = std::min(kTile, height - i * kTile);
            int64_t col = n + j * kTile, c = std::min(kTile, wide - j * kTile);
            if (turned) {
              std::swap(row, col);
              std::swap(r, c);
            }
            const float* tile = out + (2 * i + j) * kTileWords;
            if (p.c_dtype == DType::kF32) {
              Emit<float>(p, tile, turned, row, col, r, c);
            } else {
              Emit<BF16>(p, tile, turned, row, col, r, c);
            }
          }
      }
    }
  }
  _tile_release();
}

#endif

}  // namespace hone::kernels::cpu::HONE_ISA
