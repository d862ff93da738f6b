#pragma once

// What the attention kernels of warpgroups share: tiles of 64 x 64 in shared memory (hopper.cuh)
// and fragments in registers.

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/hopper.cuh"

namespace hone::kernels::cuda {

inline constexpr int kTileElements = 64 * 64;
inline constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

#if HONE_HOPPER

// Rows of kD channels into tiles of 64 x 64, those of the first 64 rows first; row(i) may be null:
// zeros, instead of what is at `any`.
template <int kD, typename Row>
__device__ inline void LoadTiles(BF16* tiles, int rows, const BF16* any, const Row& row) {
  constexpr int kParts = kD / 8;  // of 16 bytes
  for (int i = threadIdx.x; i < rows * kParts; i += blockDim.x) {
    const int r = i / kParts, part = i % kParts;
    BF16* to =
        tiles + ((r / 64 * (kD / 64) + part / 8) * 64 + r % 64) * 64 + (part % 8 ^ r % 8) * 8;
    const BF16* from = row(r);
    CopyAsync16(to, from == nullptr ? any : from + 8 * part, from == nullptr ? 0 : 16);
  }
}

// Sums of 64 x 64 by a warpgroup, rounded, as the left operands of products over their columns.
__device__ inline void Round(uint32_t (&to)[4][4], const float (&x)[1][8][4]) {
#pragma unroll
  for (int l = 0; l < 4; ++l) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const __nv_bfloat162 pair =
          __floats2bfloat162_rn(x[0][2 * l + e / 2][e % 2 * 2], x[0][2 * l + e / 2][e % 2 * 2 + 1]);
      to[l][e] = *reinterpret_cast<const uint32_t*>(&pair);
    }
  }
}

// Begins s += a b^T over kD channels of 64 rows each, which lie in tiles.
template <int kD>
__device__ inline void BeginScores(float (&s)[1][8][4], const BF16* a, const BF16* b) {
#pragma unroll
  for (int c = 0; c < kD; c += 16) {
    const int part = c / 64 * kTileElements;
    MultiplyGroup<Lie::kAlongK, Lie::kAlongK>(s, Operand<Lie::kAlongK>(a + part, c % 64),
                                              Operand<Lie::kAlongK>(b + part, c % 64));
  }
}

// Begins sums += a b: 64 terms, the rows of the tiles b.
template <int kBlocks>
__device__ inline void BeginSums(float (&sums)[1][kBlocks][4], const uint32_t (&a)[4][4],
                                 const BF16* b) {
#pragma unroll
  for (int l = 0; l < 4; ++l)
    MultiplyGroup<Lie::kAcross>(sums, a[l], Operand<Lie::kAcross>(b, 16 * l));
}

#endif

}  // namespace hone::kernels::cuda
