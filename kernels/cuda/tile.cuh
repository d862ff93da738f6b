#pragma once

// What matrix products and attention share: rows on their way into shared memory, products of tiles
// by one warp, results on their way out, and the walk over tiles of ragged work.
//
// One element of a product is one chain over k in both types: f32 has one fused multiply-add per
// term, as on the CPU; bf16 has one tensor-core instruction per 16 terms, starting with the first.
// Where the element lies in a tile, and what shape the tile has, plays no part, and k beyond the
// end adds zeros.

#include <cuda_bf16.h>

#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/mma.cuh"

namespace hone::kernels::cuda {

using BF16 = __nv_bfloat16;

// Elements of a 16-byte vector; rows of shared memory are apart by a multiple of it.
template <typename T>
inline constexpr int kVector = 16 / static_cast<int>(sizeof(T));

struct alignas(16) Zeros {
  uint32_t words[4];
};

__host__ __device__ inline int64_t CeilDiv(int64_t n, int64_t d) {
  return (n + d - 1) / d;
}
__host__ __device__ inline int RoundUp(int64_t n, int64_t d) {
  return static_cast<int>((n + d - 1) / d * d);
}

// tile[i * ld + c] = row(i)[c] for c < real, 0 up to `width` (a multiple of kVector); row(i) may be
// null: zeros. Aligned rows (16 bytes) are copied asynchronously: commit, wait and a barrier
// follow. All threads of the block, eight to a row.
template <typename T, typename Row>
__device__ inline void LoadRows(T* tile, int ld, int rows, int width, int real, bool aligned,
                                const Row& row) {
  const int lane = threadIdx.x % 8;
  for (int i = threadIdx.x / 8; i < rows; i += blockDim.x / 8) {
    const T* from = row(i);
    for (int c = lane * kVector<T>; c < width; c += 8 * kVector<T>) {
      T* to = tile + i * ld + c;
      const int valid = from == nullptr ? 0 : min(real - c, kVector<T>);
      if (valid <= 0) {
        *reinterpret_cast<Zeros*>(to) = Zeros{};
      } else if (aligned) {
        CopyAsync16(to, from + c, valid * static_cast<int>(sizeof(T)));
      } else {
        for (int e = 0; e < kVector<T>; ++e) to[e] = e < valid ? from[c + e] : T(0.0f);
      }
    }
  }
}

// How an operand lies in shared memory. A has rows, B has columns:
enum class Lie {
  kAlongK,  // element k of row or column i at i * ld + k
  kAcross,  // at k * ld + i
};

// acc[i][j] += the 16x8 blocks (i, j) of a b over the first k terms (a multiple of 16), by one
// warp. The fragments of acc are MultiplyAdd's. Only the first `pairs` pairs of column blocks are
// computed.
template <Lie kA, Lie kB, int kRowBlocks, int kBlocks>
__device__ inline void MultiplyTile(float (&acc)[kRowBlocks][kBlocks][4], const BF16* a, int lda,
                                    const BF16* b, int ldb, int k, int pairs = kBlocks / 2) {
  const int lane = threadIdx.x % 32, low = lane % 8, middle = lane / 8 % 2, high = lane / 16;
  const BF16* from_a = kA == Lie::kAlongK ? a + (low + 8 * middle) * lda + 8 * high
                                          : a + (low + 8 * high) * lda + 8 * middle;
  const BF16* from_b = kB == Lie::kAlongK ? b + (low + 8 * high) * ldb + 8 * middle
                                          : b + (low + 8 * middle) * ldb + 8 * high;
  for (int l = 0; l < k; l += 16) {
    uint32_t fa[kRowBlocks][4];
#pragma unroll
    for (int i = 0; i < kRowBlocks; ++i) {
      if constexpr (kA == Lie::kAlongK) {
        LoadMatrices(fa[i], from_a + 16 * i * lda + l);
      } else {
        LoadMatricesTransposed(fa[i], from_a + l * lda + 16 * i);
      }
    }
#pragma unroll
    for (int j = 0; j < kBlocks / 2; ++j) {
      if (j < pairs) {
        uint32_t fb[4];
        if constexpr (kB == Lie::kAlongK) {
          LoadMatrices(fb, from_b + 16 * j * ldb + l);
        } else {
          LoadMatricesTransposed(fb, from_b + l * ldb + 16 * j);
        }
#pragma unroll
        for (int i = 0; i < kRowBlocks; ++i) {
          MultiplyAdd(acc[i][2 * j], fa[i], fb[0], fb[1]);
          MultiplyAdd(acc[i][2 * j + 1], fa[i], fb[2], fb[3]);
        }
      }
    }
  }
}

// Four terms of row or column i from k on.
template <Lie kLie>
__device__ inline void FourTerms(float (&x)[4], const float* tile, int ld, int i, int k) {
  if constexpr (kLie == Lie::kAlongK) {
    const float4 v = *reinterpret_cast<const float4*>(tile + i * ld + k);
    x[0] = v.x;
    x[1] = v.y;
    x[2] = v.z;
    x[3] = v.w;
  } else {
#pragma unroll
    for (int e = 0; e < 4; ++e) x[e] = tile[(k + e) * ld + i];
  }
}

template <Lie kA, Lie kB, int kRowBlocks, int kBlocks>
__device__ inline void MultiplyTile(float (&acc)[kRowBlocks][kBlocks][4], const float* a, int lda,
                                    const float* b, int ldb, int k, int pairs = kBlocks / 2) {
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  for (int l = 0; l < k; l += 4) {
    float fa[kRowBlocks][2][4];
#pragma unroll
    for (int i = 0; i < kRowBlocks; ++i) {
      FourTerms<kA>(fa[i][0], a, lda, 16 * i + g, l);
      FourTerms<kA>(fa[i][1], a, lda, 16 * i + g + 8, l);
    }
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
      if (j < 2 * pairs) {
        float fb[2][4];
        FourTerms<kB>(fb[0], b, ldb, 8 * j + 2 * t, l);
        FourTerms<kB>(fb[1], b, ldb, 8 * j + 2 * t + 1, l);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
#pragma unroll
          for (int i = 0; i < kRowBlocks; ++i) {
#pragma unroll
            for (int c = 0; c < 4; ++c)
              acc[i][j][c] = fmaf(fa[i][c / 2][e], fb[c % 2][e], acc[i][j][c]);
          }
        }
      }
    }
  }
}

// f(row, column, x0, x1) for every pair of neighbours of the fragments that a lane holds.
template <int kRowBlocks, int kBlocks, typename F>
__device__ inline void ForFragments(float (&acc)[kRowBlocks][kBlocks][4], const F& f) {
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < kRowBlocks; ++i) {
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half)
        f(16 * i + g + 8 * half, 8 * j + 2 * t, acc[i][j][2 * half], acc[i][j][2 * half + 1]);
    }
  }
}

template <int kRowBlocks, int kBlocks>
__device__ inline void Clear(float (&acc)[kRowBlocks][kBlocks][4]) {
#pragma unroll
  for (int i = 0; i < kRowBlocks; ++i) {
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
#pragma unroll
      for (int c = 0; c < 4; ++c) acc[i][j][c] = 0.0f;
    }
  }
}

// Two neighbours at once.
template <typename T>
struct alignas(2 * sizeof(T)) Pair {
  T x, y;
};
// to[0], to[1] = x, y (+ add[0], add[1]); only the first when `count` is 1, none below. `whole`:
// `to` and `add` are aligned for a pair.
template <typename T>
__device__ inline void StorePair(T* to, const T* add, float x, float y, int64_t count, bool whole) {
  if (count >= 2 && whole) {
    if (add != nullptr) {
      const Pair<T> p = *reinterpret_cast<const Pair<T>*>(add);
      x += float(p.x);
      y += float(p.y);
    }
    *reinterpret_cast<Pair<T>*>(to) = Pair<T>{T(x), T(y)};
    return;
  }
  if (count >= 1) to[0] = T(add == nullptr ? x : x + float(add[0]));
  if (count >= 2) to[1] = T(add == nullptr ? y : y + float(add[1]));
}

// Items with unequal numbers of tiles, which only the device knows: who asks for rising tile
// numbers walks over the items once. One per thread; whole warps ask together.
class Walk {
 public:
  // The item that has tile t, and which of its tiles it is; -1: there is none. `count(i)` is the
  // number of tiles of item i.
  template <typename Count>
  __device__ int Find(int64_t t, int items, const Count& count, int64_t* tile) {
    const int lane = threadIdx.x % 32;
    for (; first_ < items; first_ += 32) {
      const int64_t own = first_ + lane < items ? count(first_ + lane) : 0;
      int64_t sum = own;  // of this lane's item and those before it
      for (int d = 1; d < 32; d *= 2) {
        const int64_t below = __shfl_up_sync(0xffffffff, sum, d);
        if (lane >= d) sum += below;
      }
      const unsigned reached = __ballot_sync(0xffffffff, t < before_ + sum);
      if (reached != 0) {
        const int which = __ffs(static_cast<int>(reached)) - 1;
        *tile = t - before_ - __shfl_sync(0xffffffff, sum - own, which);
        return first_ + which;
      }
      before_ += __shfl_sync(0xffffffff, sum, 31);
    }
    return -1;
  }

 private:
  int first_ = 0;       // the items before it are behind
  int64_t before_ = 0;  // their tiles
};

// Whether p, and everything at multiples of `ld` elements from it, is a multiple of 16 bytes.
template <typename T>
inline bool Aligned(const void* p, int64_t ld, int64_t stride = 0) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0 && ld % kVector<T> == 0 &&
         stride % kVector<T> == 0;
}

}  // namespace hone::kernels::cuda
