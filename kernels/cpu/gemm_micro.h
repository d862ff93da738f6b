#pragma once

// Products in registers, for operands that come as words of 32 bits: an f32 (Form of gemm_tile.cc)
// or a pair of bf16 along k (Form of gemm_pairs.cc). A Form says
//   Element, kTerms      the type of an element; how many a word has
//   MulAdd(a, b, c)      c + the products of the words' elements, in order
//   PackColumns(p, n0, n1, out)  columns [n0, n1) of b in panels of kTileCols: the words of one
//   panel row by row,
//                        padded with zeros, then the next panel
//   PackRows(p, m0, m1, out)     rows [m0, m1) of a in panels of kTileRows, column by column
// Each element of a result is one chain of MulAdd over k, whatever the walk: an f32 that is stored
// and loaded again is the same f32.

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {

struct Tile {
  const char* a;  // word (i, l) at a + i * a_row + l * a_col, in bytes
  int64_t a_row, a_col;
  const float* b;  // words of row l at b + l * ldb
  int64_t ldb;
  int64_t words;  // along k
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
  kMasked,    // the last vector of a row of b is read in part
  kWhole,     // b is packed, or cols is a multiple of 16
  kPartial,   // whole, and sums of earlier and later terms are elsewhere (Tile::start, Tile::sums)
  kStreamed,  // as kPartial; a comes from memory, a_col is 4, and the next tile's rows lie behind
              // its own
};

template <typename Form, int kRows, int kVecs, Kind kKind>
void RunTile(const Tile& t) {
  Vec acc[kRows][kVecs];
  if ((kKind != kPartial && kKind != kStreamed) || t.start == nullptr) {
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
  const char* a = t.a;
  for (int64_t l = 0; l < t.words; ++l, b += t.ldb, a += t.a_col) {
    if (kKind == kStreamed && l % 16 == 0) {
      HONE_UNROLL for (int i = 0; i < kRows; ++i) __builtin_prefetch(a + (kRows + i) * t.a_row);
    }
    Vec bv[kVecs];
    HONE_UNROLL for (int j = 0; j < kVecs; ++j) {
      bv[j] = kKind != kMasked || j < kVecs - 1 ? Load(b + j * kLanes) : Load(b + j * kLanes, last);
    }
    HONE_UNROLL for (int i = 0; i < kRows; ++i) {
      float word;
      std::memcpy(&word, a + i * t.a_row, 4);
      const Vec av = Set(word);
      HONE_UNROLL for (int j = 0; j < kVecs; ++j) acc[i][j] = Form::MulAdd(av, bv[j], acc[i][j]);
    }
  }
  if ((kKind == kPartial || kKind == kStreamed) && t.sums != nullptr) {
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

template <typename Form, Kind kKind, int... kRow>
constexpr TileFunction FindTile(int64_t rows, int64_t vecs, std::integer_sequence<int, kRow...>) {
  constexpr TileFunction kTiles[sizeof...(kRow)][kTileVecs] = {
#if defined(__AVX512F__)
    {RunTile<Form, kRow + 1, 1, kKind>, RunTile<Form, kRow + 1, 2, kKind>}...
#else
    {RunTile<Form, kRow + 1, 1, kKind>}...
#endif
  };
  return kTiles[rows - 1][vecs - 1];
}

// At most kTileRows rows and kTileCols columns.
template <typename Form, Kind kKind>
void Run(const Tile& t, int64_t rows) {
  FindTile<Form, kKind>(rows, (t.cols + kLanes - 1) / kLanes,
                        std::make_integer_sequence<int, kTileRows>())(t);
}

template <typename Form>
int64_t Words(int64_t k) {
  return (k + Form::kTerms - 1) / Form::kTerms;
}

// Long sums: blocks of kDeep words, both sides packed, with the sums of a block of the result
// waiting in memory.
inline constexpr int64_t kDeep = 256, kDeepRows = 24 * kTileRows, kDeepCols = 256;
inline constexpr int64_t kDeepMemory =
    kDeep * kDeepCols + kDeepRows * kDeepCols + kDeep * kDeepRows;

// At most kDeepRows x kDeepCols of the result.
template <typename Form>
void ComputeDeepBlock(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                      float* memory) {
  using Element = typename Form::Element;
  float* pack_b = memory;
  float* sums = pack_b + kDeep * kDeepCols;
  float* pack_a = sums + kDeepRows * kDeepCols;
  const int64_t size = p.c_dtype == DType::kF32 ? 4 : 2, step = kDeep * Form::kTerms;
  for (int64_t k0 = 0; k0 == 0 || k0 < p.k; k0 += step) {
    Product part = p;
    part.k = std::min(step, p.k - k0);
    part.a = static_cast<const Element*>(p.a) + k0 * p.a_col;
    part.b = static_cast<const Element*>(p.b) + k0 * (p.b_transposed ? 1 : p.ldb);
    const int64_t words = Words<Form>(part.k);
    Form::PackColumns(part, n0, n1, pack_b);
    Form::PackRows(part, m0, m1, pack_a);
    for (int64_t m = m0; m < m1; m += kTileRows) {
      for (int64_t n = n0; n < n1; n += kTileCols) {
        const int64_t at = (m * p.ldc + n) * size;
        float* sum = sums + (m - m0) * kDeepCols + n - n0;
        Run<Form, kPartial>(
            {.a = reinterpret_cast<const char*>(pack_a + (m - m0) * words),
             .a_row = 4,
             .a_col = 4 * kTileRows,
             .b = pack_b + (n - n0) * words,
             .ldb = kTileCols,
             .words = words,
             .c = static_cast<char*>(p.c) + at,
             .add = p.add == nullptr ? nullptr : static_cast<const char*>(p.add) + at,
             .ldc = p.ldc,
             .c_dtype = p.c_dtype,
             .start = k0 == 0 ? nullptr : sum,
             .sums = k0 + step < p.k ? sum : nullptr,
             .ld_sums = kDeepCols,
             .cols = std::min(kTileCols, n1 - n)},
            std::min<int64_t>(kTileRows, m1 - m));
      }
    }
  }
}

template <typename Form>
void ComputeDeep(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  float* memory = static_cast<float*>(Scratch(4 * kDeepMemory));
  for (int64_t m = m0; m < m1; m += kDeepRows)
    for (int64_t n = n0; n < n1; n += kDeepCols)
      ComputeDeepBlock<Form>(p, m, std::min(m1, m + kDeepRows), n, std::min(n1, n + kDeepCols),
                             memory);
}

// Few rows times a weight: the weight's rows are read once, where they lie, and the few are packed.
// The tile is that of the transposed result and turned over on the way out.
inline constexpr int64_t kFewRows = 64;

template <typename T>
void EmitTurned(const Product& p, const float* sums, int64_t m, int64_t rows, int64_t n,
                int64_t cols) {
  Vec r[kLanes];
  for (int64_t j = 0; j < kLanes; ++j) r[j] = j < cols ? Load(sums + j * kTileCols) : Zero();
  Transpose16(r);
  const Part lanes(cols);
  for (int64_t i = 0; i < rows; ++i) {
    T* c = static_cast<T*>(p.c) + (m + i) * p.ldc + n;
    if (p.add != nullptr)
      r[i] = r[i] + Load(static_cast<const T*>(p.add) + (m + i) * p.ldc + n, lanes);
    Store(c, r[i], lanes);
  }
}

// b_transposed, a_col = 1, at most kFewRows rows, and k a multiple of Form::kTerms.
template <typename Form>
void ComputeTurned(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  using Element = typename Form::Element;
  const int64_t words = Words<Form>(p.k);
  float* sums = static_cast<float*>(Scratch(4 * (kTileRows * kTileCols + kFewRows * words)));
  float* pack = sums + kTileRows * kTileCols;
  Product turned = p;
  turned.b = p.a;
  turned.ldb = p.a_row;
  Form::PackColumns(turned, m0, m1, pack);
  const int64_t row = p.ldb * static_cast<int64_t>(sizeof(Element));
  for (int64_t n = n0; n < n1; n += kTileRows) {
    const int64_t height = std::min<int64_t>(kTileRows, n1 - n);
    for (int64_t m = m0; m < m1; m += kTileCols) {
      const int64_t cols = std::min(kTileCols, m1 - m);
      Run<Form, kStreamed>({.a = static_cast<const char*>(p.b) + n * row,
                            .a_row = row,
                            .a_col = 4,
                            .b = pack + (m - m0) * words,
                            .ldb = kTileCols,
                            .words = words,
                            .c = nullptr,
                            .add = nullptr,
                            .ldc = 0,
                            .c_dtype = DType::kF32,
                            .start = nullptr,
                            .sums = sums,
                            .ld_sums = kTileCols,
                            .cols = cols},
                           height);
      for (int64_t i = 0; i < cols; i += kLanes) {
        const int64_t rows = std::min<int64_t>(kLanes, cols - i);
        p.c_dtype == DType::kF32 ? EmitTurned<float>(p, sums + i, m + i, rows, n, height)
                                 : EmitTurned<BF16>(p, sums + i, m + i, rows, n, height);
      }
    }
  }
}

}  // namespace hone::kernels::cpu::HONE_ISA
