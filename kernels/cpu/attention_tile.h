#pragma once

// What forward and backward attention share: packing of a chunk of keys, and the walk over query
// tiles.

#include <algorithm>

#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/simd.h"

namespace hone::kernels::cpu::HONE_ISA {

inline constexpr int64_t kChunk = 64;  // keys
inline constexpr int64_t kTileQ =
    64;  // query vectors (rows x heads of one key/value head) per tile, about

inline int64_t RoundUp(int64_t n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}

// Query rows per tile when `heads` heads share a key/value head.
inline int64_t TileRows(int64_t heads) {
  return std::max<int64_t>(kTileQ / heads, 1);
}

// c[m, n] = a b (+ add), all f32, b as it lies.
inline void Multiply(const float* a, int64_t a_row, int64_t a_col, const float* b, int64_t ldb,
                     float* c, const float* add, int64_t ldc, int64_t m, int64_t n, int64_t k) {
  ComputeUnpacked({.a = a,
                   .a_row = a_row,
                   .a_col = a_col,
                   .b = b,
                   .ldb = ldb,
                   .b_transposed = false,
                   .dtype = DType::kF32,
                   .c = c,
                   .add = add,
                   .ldc = ldc,
                   .c_dtype = DType::kF32,
                   .k = k},
                  0, m, 0, n);
}

// The arithmetic of a tile over elements of type T. Floats: everything in f32.
//   PackQueries   the query vectors of rows [row, row + count) and the heads of a key/value head
//   PackKeys      a chunk of key rows, turned, for Scores
//   PackRows      a chunk of rows as they lie, for Combine
//   Scores        p[vectors, 64] = queries keys^T
//   Combine       out[vectors, RoundUp(width)] += p[vectors, keys] rows; p may be used up
//   Gather        out[keys, RoundUp(width)] = p[vectors, keys]^T queries
template <typename T>
struct Floats {
  using Element = T;

  // out[l * kChunk + j] = row j of `keys` rows, element l, as f32; lanes up to the next 16 are
  // zeros.
  static void PackKeys(const T* base, const int32_t* rows, int64_t ld, int64_t keys, int64_t d,
                       float* out) {
    for (int64_t j = 0; j < keys; j += kLanes) {
      const int64_t real = std::min<int64_t>(keys - j, kLanes);
      for (int64_t l = 0; l < d; l += kLanes) {
        const int64_t deep = std::min<int64_t>(d - l, kLanes);
        const Part part(deep);
        Vec r[kLanes];
        for (int64_t i = 0; i < kLanes; ++i) {
          const T* row = base + rows[j + (i < real ? i : 0)] * ld + l;
          r[i] = i >= real ? Zero() : deep == kLanes ? Load(row) : Load(row, part);
        }
        Transpose16(r);
        for (int64_t i = 0; i < deep; ++i) Store(out + (l + i) * kChunk + j, r[i]);
      }
    }
  }

  // out[j * ld_out + l] likewise; ld_out is d rounded up to 16, its rest zeros.
  static void PackRows(const T* base, const int32_t* rows, int64_t ld, int64_t keys, int64_t d,
                       float* out) {
    const int64_t ld_out = RoundUp(d);
    for (int64_t j = 0; j < keys; ++j) {
      const T* row = base + rows[j] * ld;
      ForLanes(d,
               [&](int64_t l, auto lanes) { Store(out + j * ld_out + l, Load(row + l, lanes)); });
    }
  }

  // The query vectors of rows [row, row + count) and the heads of group g, packed [count * heads,
  // d] in f32.
  static void PackQueries(const T* q, int64_t ldq, int64_t head0, int64_t heads, int64_t row,
                          int64_t count, int64_t d, float* out) {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t h = 0; h < heads; ++h) {
        const T* x = q + (row + i) * ldq + (head0 + h) * d;
        float* o = out + (i * heads + h) * d;
        ForLanes(d, [&](int64_t l, auto lanes) { Store(o + l, Load(x + l, lanes), lanes); });
      }
  }

  static void Scores(const float* q, int64_t vectors, int64_t d, const float* kt, int64_t keys,
                     float* p) {
    Multiply(q, d, 1, kt, kChunk, p, nullptr, kChunk, vectors, RoundUp(keys), d);
  }
  static void Combine(float* p, int64_t vectors, int64_t keys, const float* rows, int64_t width,
                      float* out) {
    const int64_t ld = RoundUp(width);
    Multiply(p, kChunk, 1, rows, ld, out, out, ld, vectors, ld, keys);
  }
  static void Gather(const float* p, int64_t vectors, int64_t keys, const float* q, int64_t width,
                     float* out, float*) {
    Multiply(p, 1, kChunk, q, width, out, nullptr, RoundUp(width), keys, width, vectors);
  }
  // The packed queries from vector i on.
  static const float* From(const float* q, int64_t i, int64_t d) { return q + i * d; }
};

}  // namespace hone::kernels::cpu::HONE_ISA
