#pragma once

// What the files of backward attention by warpgroups share.

#include "kernels/cuda/attention_hopper.cuh"
#include "kernels/cuda/pack.cuh"

namespace hone::kernels::cuda {

// attention_backward_hopper_mla.cu: dk and dv of heads of 192 channels whose values have 128;
// `rows` of q, with all heads of a key/value head, are at most 64 vectors. delta is in dq, see
// attention_backward_hopper.cu.
Error LaunchKeyGradientPairs(const AttentionBackwardArgs& b, int rows, float scale2, Stream stream);

// Query vectors in a stage, their lse and delta.
inline constexpr int kVectorStatistics = 2 * 64;

#if HONE_HOPPER

// Where query vector i of a stage is, in rows and elements from the stage's first: of q, of dout,
// of dq.
struct alignas(16) VectorPlace {
  int row, q, dout, dq;
};

// The places of a stage's 64 vectors: a division each, once. Threads from 64 on have nothing to do.
template <int kD, int kDV>
__device__ inline void FindPlaces(VectorPlace (&places)[64], const AttentionBackwardArgs& b) {
  if (threadIdx.x >= 64) return;
  const AttentionArgs& a = b.forward;
  const int heads = static_cast<int>(a.heads / a.kv_heads);
  const int row = threadIdx.x / heads, head = threadIdx.x % heads;
  places[threadIdx.x] = {row, row * static_cast<int>(a.ldq) + head * kD,
                         (row * static_cast<int>(a.heads) + head) * kDV,
                         row * static_cast<int>(b.lddq) + head * kD};
}

// This thread's part of a warpgroup's 64 rows: rows `row` and row + 8, columns 8 j + `column` and
// the next.
struct Place {
  int group = threadIdx.x / 128, row = threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4,
      column = threadIdx.x % 4 * 2;
};

// f(keys, first, from) for this block's tiles of kKeys keys, which begin with key `first`, and the
// sequences of the tile's cluster in order; query rows from `from` on see keys of the tile. Whole
// warps call.
template <int kKeys, typename F>
__device__ inline void ForSeenKeys(const AttentionBackwardArgs& b, const F& f) {
  ForKeyTiles<kKeys>(b, [&](int cluster, int group, int first) {
    for (int sequence = b.cluster_start[cluster]; sequence < b.cluster_start[cluster + 1];
         ++sequence) {
      const Keys keys(b.forward, sequence, group);
      if (keys.kv_len > first && keys.q_len > 0)
        f(keys, first, max(0, first - (keys.kv_len - keys.q_len)));
    }
  });
}

// Begins to copy a stage: the vectors of `rows` query rows from `row` on, q and then dout; and
// their lse and delta. Zeros behind the last: p is 1 there, but whatever it is multiplied by is 0.
template <int kD, int kDV, int kThreads>
__device__ inline void LoadVectors(BF16* stage, float* statistics, const AttentionBackwardArgs& b,
                                   const Keys& keys, int row, int rows,
                                   const VectorPlace (&places)[64]) {
  const AttentionArgs& a = b.forward;
  const int count = min(rows, keys.q_len - row);
  const int64_t at_row = keys.q_first + row, head = keys.group * keys.heads;
  const BF16* const q = static_cast<const BF16*>(a.q) + at_row * a.ldq + head * kD;
  const BF16* const dout = static_cast<const BF16*>(b.dout) + (at_row * a.heads + head) * kDV;
  // One by one: the sums leave few registers.
  ForParts<64, 64, kThreads, 1>([&](int i, int part) {
    const VectorPlace p = places[i];
    const bool there = p.row < count;
    const int bytes = there ? 16 : 0;
    CopyParts<kD>(PartOf(stage, i, part), q + (there ? p.q : 0) + 8 * part, bytes);
    CopyParts<kDV>(PartOf(stage + kD * 64, i, part), dout + (there ? p.dout : 0) + 8 * part, bytes);
  });
  if (threadIdx.x < 128) {
    const VectorPlace p = places[threadIdx.x % 64];
    const void* const lse = a.lse + at_row * a.heads + head + p.dout / kDV;
    const void* const delta = static_cast<const BF16*>(b.dq) + at_row * b.lddq + head * kD + p.dq;
    const bool there = p.row < count;
    CopyAsync4(statistics + threadIdx.x,
               !there             ? a.lse
               : threadIdx.x < 64 ? lse
                                  : delta,
               there ? 4 : 0);
  }
}

// Transposed scores of a stage whose query rows begin with `row`, by keys from `first` on, become
// probabilities, 0 where a vector does not see the key. lse: from the lane's first column on.
__device__ inline void Probabilities(float (&s)[1][8][4], const float2* lse, float scale2,
                                     const Keys& keys, int first, int row, const Place& at,
                                     const VectorPlace (&places)[64]) {
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    const float2 l = lse[4 * j];
#pragma unroll
    for (int e = 0; e < 4; ++e)
      s[0][j][e] = Exp2(fmaf(s[0][j][e], scale2, (e % 2 == 0 ? l.x : l.y) * -kLog2E));
  }
  // Keys from `first` on that row `row` sees; each row sees one more.
  const int seen = keys.kv_len - keys.q_len + row + 1 - first;
  if (seen >= 64) return;
#pragma unroll
  for (int j = 0; j < 8; ++j) {
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (at.row + e / 2 * 8 >= seen + places[8 * j + at.column + e % 2].row) s[0][j][e] = 0.0f;
  }
}

// dp, of 8 vectors, becomes ds / scale = p (dp - delta).
__device__ inline void ScoreGradients(float (&dp)[4], const float (&p)[4], float2 delta) {
#pragma unroll
  for (int e = 0; e < 4; ++e) dp[e] = p[e] * (dp[e] - (e % 2 == 0 ? delta.x : delta.y));
}

// Adds sums of this warpgroup, times `factor`, to the gradients of the keys from `first` on.
template <int kBlocks>
__device__ inline void AddKeyGradients(const float (&sums)[1][kBlocks][4], float factor, float* to,
                                       int64_t ld, const Keys& keys, int first, const Place& at) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int i = first + at.row + 8 * h;
    if (i >= keys.kv_len) continue;
    float* const row = to + keys.rows[i] * ld + at.column;
    // Many at a time: they come from far.
    float was[kBlocks][2];
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
      was[j][0] = row[8 * j];
      was[j][1] = row[8 * j + 1];
    }
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
      row[8 * j] = was[j][0] + sums[0][j][2 * h] * factor;
      row[8 * j + 1] = was[j][1] + sums[0][j][2 * h + 1] * factor;
    }
  }
}

#endif

}  // namespace hone::kernels::cuda
