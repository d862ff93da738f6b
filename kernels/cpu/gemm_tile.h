#pragma once

// One block of a matrix product: C[rows, cols] = A B (+ add), accumulated in f32 over k in order.
// No choice in here (tile shapes, packing, block sizes, which side is packed) changes a bit of a
// result.

#include <algorithm>

#include "kernels/cpu/simd.h"

namespace hone::kernels::cpu::HONE_ISA {

// One matrix product in general strides, in elements of `dtype`: a(i, l) = a[i * a_row + l *
// a_col].
struct Product {
  const void* a;
  int64_t a_row, a_col;
  const void* b;
  int64_t ldb;
  bool b_transposed;  // b(l, j) = b[j * ldb + l]; else b[l * ldb + j]
  DType dtype;        // of a and b
  void* c;
  const void* add;  // or null
  int64_t ldc;
  DType c_dtype;
  int64_t k;
};

// Largest f32 tile: kTileRows x (kTileVecs * 16), what the registers hold.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 12, kTileVecs = 2;
#else
inline constexpr int kTileRows = 6, kTileVecs = 1;
#endif
inline constexpr int64_t kTileCols = kTileVecs * kLanes;

// Rows [m0, m1), columns [n0, n1) of the product; uses the thread's Scratch. bf16 only if
// HasBf16(): by AMX where there is one, else by pairs (AVX512-BF16).
void ComputeBlock(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1);
void ComputeBlockAmx(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1);
void ComputeBlockPairs(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1);

// c[m, n] = a b, or c += a b, of words (gemm_words.h) that are packed already; only if HasPairs().
// n and ldc are multiples of 16.
struct WordProduct {
  const float* a;        // word (i, l) at a[i * a_row + l * a_col]
  int64_t a_row, a_col;  // in words
  const float* b;        // word (l, j) at b[l * ldb + j]
  int64_t ldb;
  float* c;
  int64_t ldc;
  bool add;
  int64_t m, n, words;
};
void ComputeWords(const WordProduct& p);

// f32 with b read where it lies, and no Scratch; !b_transposed.
void ComputeUnpacked(const Product& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1);

}  // namespace hone::kernels::cpu::HONE_ISA
