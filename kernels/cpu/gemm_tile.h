#pragma once

// The f32 product of one block: C[rows, cols] = A B (+ add), the sum over k in order in registers,
// one fused multiply-add per term. No choice in here (tile shapes, packing, block sizes) changes a
// bit of a result.

#include <algorithm>

#include "kernels/cpu/simd.h"

namespace hone::kernels::cpu::HONE_ISA {

// One matrix product in general strides: a(i, l) = a[i * a_row + l * a_col].
struct Product {
  const float* a;
  int64_t a_row, a_col;
  const float* b;
  int64_t ldb;
  bool b_transposed;  // b(l, j) = b[j * ldb + l]; else b[l * ldb + j]
  void* c;
  const void* add;  // or null
  int64_t ldc;
  DType c_dtype;
  int64_t k;
};

// Largest tile: kTileRows x (kTileVecs * 16), what the registers hold.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 12, kTileVecs = 2;
#else
inline constexpr int kTileRows = 6, kTileVecs = 1;
#endif
inline constexpr int64_t kTileCols = kTileVecs * kLanes;

// Floats of memory that ComputeBlock needs for a block of `cols` columns.
int64_t BlockMemory(int64_t k, int64_t cols);

// Rows [m0, m1), columns [n0, n1) of the product. `memory` has BlockMemory(k, n1 - n0) floats.
void ComputeBlock(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float* memory);

// The same with b read where it lies; !b_transposed.
void ComputeUnpacked(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1);

// Columns per block so that a packed block stays in the second-level cache.
inline int64_t BlockCols(int64_t n, int64_t k) {
  constexpr int64_t kFloats = 128 * 1024;
  const int64_t fit =
      std::max<int64_t>(kFloats / std::max<int64_t>(k, 1) / kTileCols, 1) * kTileCols;
  return std::min(n, fit);
}

}  // namespace hone::kernels::cpu::HONE_ISA
