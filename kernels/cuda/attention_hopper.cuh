#pragma once

// What the attention kernels of warpgroups share: tiles of 64 x 64 in shared memory (hopper.cuh)
// and fragments in registers.

#include "kernels/cuda/attention_splits.cuh"
#include "kernels/cuda/hopper.cuh"

namespace hone::kernels::cuda {

inline constexpr int kTileElements = 64 * 64;
inline constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

// Scores in units of log 2 (see Natural).
struct Binary {
  __device__ static float Exp(float x) { return Exp2(x); }
  __device__ static float Lse(float top, float sum) { return fmaf(top, kLn2, logf(sum)); }
};

// attention_hopper_mla.cu: whether it computes these heads, as far as widths say; forward.
bool TakesLatent(const AttentionArgs& a);
Error LaunchLatent(const AttentionArgs& a, Stream stream);

// Of a Ring's shared memory.
template <typename S>
constexpr int RingBytes() {
  return 2 * (S::kOwn + S::kStages * 64 * (S::kD + S::kDV)) + 4 * S::kStatistics * S::kStages +
         2 * 8 * S::kStages;
}

#if HONE_HOPPER

// Where 16-byte part `part` of a row lies, that goes through tiles one behind the other; row below
// 64.
__device__ inline BF16* PartOf(BF16* tiles, int row, int part) {
  return tiles + part / 8 * kTileElements + row * 64 + (part % 8 ^ row % 8) * 8;
}

// The same in kRows / 64 such groups of tiles of kD channels.
template <int kD>
__device__ inline BF16* PartOfRow(BF16* tiles, int row, int part) {
  return PartOf(tiles + row / 64 * (kD / 64 * kTileElements), row % 64, part);
}

// f(row, part) for this thread's 16-byte parts of kRows rows of kD channels.
template <int kD, int kRows, int kThreads, int kUnroll = 8, typename F>
__device__ inline void ForParts(const F& f) {
  constexpr int kParts = kD / 8, kAtOnce = kThreads / kParts;
  const int row = threadIdx.x / kParts, part = threadIdx.x % kParts;
#pragma unroll kUnroll
  for (int i = 0; i < kRows; i += kAtOnce)
    if (kRows % kAtOnce == 0 || row + i < kRows) f(row + i, part);
}

// Begins to copy the part of a row of kD channels that lies at `from` in the first 64, and those 64
// channels further each; 0 bytes instead of 16: zeros.
template <int kD>
__device__ inline void CopyParts(BF16* to, const BF16* from, int bytes) {
#pragma unroll
  for (int t = 0; t < kD / 64; ++t) CopyAsync16(to + t * kTileElements, from + 64 * t, bytes);
}

// Begins to copy rows; row(i) may be null: zeros, instead of what is at `any`.
template <int kD, int kRows, int kThreads, typename Row>
__device__ inline void LoadTiles(BF16* tiles, const BF16* any, const Row& row) {
  ForParts<64, kRows, kThreads>([&](int i, int part) {
    const BF16* from = row(i);
    CopyParts<kD>(PartOfRow<kD>(tiles, i, part), from == nullptr ? any : from + 8 * part,
                  from == nullptr ? 0 : 16);
  });
}

// Begins to copy keys [first, first + count) of a head and their values; zeros behind them.
template <int kD, int kRows, int kThreads, int kDV = kD>
__device__ inline void LoadKeysAndValues(BF16* k_tiles, BF16* v_tiles, const AttentionArgs& a,
                                         const Keys& keys, int first, int count) {
  const int ldk = static_cast<int>(a.ldk), ldv = static_cast<int>(a.ldv);
  const BF16* const k = static_cast<const BF16*>(a.k) + keys.group * a.d;
  const BF16* const v = static_cast<const BF16*>(a.v) + keys.group * a.head_v;
  ForParts<64, kRows, kThreads>([&](int i, int part) {
    const bool there = i < count;
    const int64_t row = there ? keys.rows[first + i] : 0;
    CopyParts<kD>(PartOfRow<kD>(k_tiles, i, part), k + row * ldk + 8 * part, there ? 16 : 0);
    CopyParts<kDV>(PartOfRow<kDV>(v_tiles, i, part), v + row * ldv + 8 * part, there ? 16 : 0);
  });
}

// Shared memory of a block: S::kOwn elements, and S::kStages stages of two matrices of 64 rows (of
// S::kD and S::kDV channels) and S::kStatistics floats, which threads fill, kFilling of them, and
// warpgroups use, of kUsing threads, each at its pace. The n-th stage, whatever it is for, is round
// n / kStages of its place in the ring.
template <typename S, int kFilling = S::kThreads, int kUsing = S::kThreads>
struct Ring {
  static constexpr int kStage = 64 * (S::kD + S::kDV);
  static constexpr int kElements = S::kOwn + S::kStages * kStage;

  BF16 *own, *stages;
  float* statistics;
  uint64_t *full, *free;
  uint32_t loaded = 0, used = 0;

  // All threads of the block.
  __device__ Ring()
      : own(DynamicShared<BF16>()),
        stages(own + S::kOwn),
        statistics(reinterpret_cast<float*>(own + kElements)),
        full(reinterpret_cast<uint64_t*>(statistics + S::kStatistics * S::kStages)),
        free(full + S::kStages) {
    if (threadIdx.x == 0) {
      for (int i = 0; i < S::kStages; ++i) {
        InitBarrier(full + i, kFilling);
        InitBarrier(free + i, kUsing / 32);  // a lane of each warp
      }
      PublishBarriers();
    }
    __syncthreads();
  }
  __device__ BF16* Stage(uint32_t n) const { return stages + n % S::kStages * kStage; }
  __device__ float* Statistics(uint32_t n) const {
    return statistics + n % S::kStages * S::kStatistics;
  }
  __device__ static uint32_t Parity(uint32_t n) { return n / S::kStages & 1; }
  // copy(stage, statistics) begins the copies of this thread.
  template <typename Copy>
  __device__ void Fill(const Copy& copy) {
    WaitPhase(free + loaded % S::kStages, ~Parity(loaded) & 1);
    copy(Stage(loaded), Statistics(loaded));
    ArriveAfterCopies(full + loaded % S::kStages);
    ++loaded;
  }
  // Until the present stage, or one ahead, and all that its threads copied before, is there.
  __device__ void Wait(uint32_t ahead = 0) {
    WaitPhase(full + (used + ahead) % S::kStages, Parity(used + ahead));
    PublishWrites();
  }
  // When the warpgroup's products of the stage are done.
  __device__ void Leave() {
    if (threadIdx.x % 32 == 0) Arrive(free + used % S::kStages);
    ++used;
  }
};

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

// Begins s = a b^T, or s += a b^T, over kD channels of 64 rows each, which lie in tiles. (Scores
// that are cleared instead are cleared late by the compiler, behind products that are under way.)
template <int kD>
__device__ inline void BeginScores(float (&s)[1][8][4], const BF16* a, const BF16* b,
                                   bool add = false) {
  const uint64_t first_a = FirstOperand<Lie::kAlongK>(a), first_b = FirstOperand<Lie::kAlongK>(b);
#pragma unroll
  for (int c = 0; c < kD; c += 16) {
    const int bytes = 2 * (c / 64 * kTileElements + c % 64);
    MultiplyGroup<Lie::kAlongK, Lie::kAlongK>(s, Further(first_a, bytes), Further(first_b, bytes),
                                              add || c > 0);
  }
}

// The same with a in registers.
template <int kSteps>
__device__ inline void BeginScores(float (&s)[1][8][4], const uint32_t (&a)[kSteps][4],
                                   const BF16* b) {
  const uint64_t first_b = FirstOperand<Lie::kAlongK>(b);
#pragma unroll
  for (int l = 0; l < kSteps; ++l)
    MultiplyGroup<Lie::kAlongK>(s, a[l], Further(first_b, 2 * (l / 4 * kTileElements + l % 4 * 16)),
                                l > 0);
}

// Begins sums += a b: 64 terms, the rows of the tiles b.
template <int kBlocks>
__device__ inline void BeginSums(float (&sums)[1][kBlocks][4], const uint32_t (&a)[4][4],
                                 const BF16* b) {
  const uint64_t first_b = FirstOperand<Lie::kAcross>(b);
#pragma unroll
  for (int l = 0; l < 4; ++l) MultiplyGroup<Lie::kAcross>(sums, a[l], Further(first_b, 2048 * l));
}

// Forward, a lane holds parts of two vectors, `own` and own + 8 (rows g and g + 8 of its warp), and
// scores are in Binary units.

// Scores of two vectors over a chunk become probabilities relative
// to the running maximum, in units of log 2; shrink[h] is what the sums so far are multiplied by.
// Four lanes, each with 16 keys in order. visible[h]: keys of the chunk that a vector sees.
__device__ inline void Softmax(float (&s)[1][8][4], const int (&visible)[2], float scale,
                               float (&top)[2], float (&sum)[2], float (&shrink)[2]) {
  const int t = threadIdx.x % 4;
  if (min(visible[0], visible[1]) < kChunk) {  // else nothing to compare: most chunks
#pragma unroll
    for (int j = 0; j < 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e)
        if (8 * j + 2 * t + e % 2 >= visible[e / 2]) s[0][j][e] = -Infinity();
    }
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float now = -Infinity();
#pragma unroll
    for (int j = 0; j < 8; ++j) now = fmaxf(now, fmaxf(s[0][j][2 * h], s[0][j][2 * h + 1]));
    now = LaneReduce<4>(now, [](float x, float y) { return fmaxf(x, y); });
    now = fmaxf(top[h], now * scale);
    // A vector that has seen nothing, behind the last one of the tile.
    const float base = now == -Infinity() ? 0.0f : now;
    float add = 0.0f;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float& x = s[0][j][2 * h + e];
        x = Exp2(fmaf(x, scale, -base));
        add += x;
      }
    }
    add = LaneReduce<4>(add);
    // A chunk of which nothing is visible changes nothing.
    shrink[h] = now == top[h] ? 1.0f : Exp2(top[h] - now);
    top[h] = now;
    sum[h] = fmaf(sum[h], shrink[h], add);
  }
}

// Multiplies sums, unless it is by 1 for all of the warp, as behind the first chunks mostly. (The
// condition also has the compiler multiply here and not just before the next products, behind what
// the warp may have to wait for until then.)
template <int kBlocks>
__device__ inline void Shrink(float (&acc)[1][kBlocks][4], const float (&shrink)[2]) {
  if (!__any_sync(0xffffffff, shrink[0] != 1.0f || shrink[1] != 1.0f)) return;
#pragma unroll
  for (int j = 0; j < kBlocks; ++j) {
#pragma unroll
    for (int e = 0; e < 4; ++e) acc[0][j][e] *= shrink[e / 2];
  }
}

// Channels of vectors own and own + 8 from `channel` on, divided by their sums.
template <int kBlocks>
__device__ inline void StoreResults(const AttentionArgs& a, const Tile& tile, int own, int channel,
                                    const float (&acc)[1][kBlocks][4], const float (&sum)[2]) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int i = own + 8 * h;
    if (i >= tile.count) continue;
    BF16* const out = static_cast<BF16*>(a.out) + tile.keys.Row(a, tile.v0 + i) * a.dv + channel +
                      2 * (threadIdx.x % 4);
#pragma unroll
    for (int j = 0; j < kBlocks; ++j)
      StorePair<BF16>(out + 8 * j, nullptr, acc[0][j][2 * h] / sum[h],
                      acc[0][j][2 * h + 1] / sum[h], 2, true);
  }
}

__device__ inline void StoreLse(const AttentionArgs& a, const Tile& tile, int own,
                                const float (&top)[2], const float (&sum)[2]) {
  if (a.lse == nullptr || threadIdx.x % 4 != 0) return;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int i = own + 8 * h;
    if (i < tile.count) a.lse[tile.keys.Row(a, tile.v0 + i)] = Binary::Lse(top[h], sum[h]);
  }
}

// Sums of a split over kBlocks times 8 channels, from `channel` on, of which the warpgroup has
// `half` of the tile's.
template <int kBlocks>
struct Sums {
  float acc[1][kBlocks][4], top[2], sum[2];
  bool folded = false;  // earlier splits are in the block's part

  __device__ Sums() { Begin(); }
  __device__ void Begin() {
    Clear(acc);
    top[0] = top[1] = -Infinity();
    sum[0] = sum[1] = 0.0f;
  }
  // Behind a split that another of the tile follows.
  __device__ void Fold(const Splits& splits, const Tile& tile, int own, int half = 0) {
    const Part part = splits.Of(tile, half);
    if (folded) Take(part, tile.count, own);
    Put(part, tile.count, own);
    folded = true;
    Begin();
  }
  // Behind the last: the results, or what CombineKernel makes them from.
  __device__ void Finish(const AttentionArgs& a, const Splits& splits, const Tile& tile, int own,
                         int half = 0) {
    if (splits.Shares(tile)) {
      Put(splits.Of(tile, half), tile.count, own);
      return;
    }
    if (folded) Take(splits.Of(tile, half), tile.count, own);
    StoreResults(a, tile, own, 8 * kBlocks * half, acc, sum);
    if (half == 0) StoreLse(a, tile, own, top, sum);
  }

 private:
  __device__ void Take(const Part& part, int count, int own) {
    __syncwarp();  // a neighbour has written the statistics
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = own + 8 * h;
      if (i >= count) continue;
      const Join<Binary> join(part.Top()[i], top[h]);
      const float* const from = part.acc + i * part.width + 2 * (threadIdx.x % 4);
#pragma unroll
      for (int j = 0; j < kBlocks; ++j) {
        const float2 x = *reinterpret_cast<const float2*>(from + 8 * j);
        acc[0][j][2 * h] = join(x.x, acc[0][j][2 * h]);
        acc[0][j][2 * h + 1] = join(x.y, acc[0][j][2 * h + 1]);
      }
      sum[h] = join(part.Sum()[i], sum[h]);
      top[h] = join.top;
    }
  }
  __device__ void Put(const Part& part, int count, int own) const {
    __syncwarp();  // the neighbours have read them
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = own + 8 * h;
      if (i >= count) continue;
      float* const to = part.acc + i * part.width + 2 * (threadIdx.x % 4);
#pragma unroll
      for (int j = 0; j < kBlocks; ++j)
        *reinterpret_cast<float2*>(to + 8 * j) = {acc[0][j][2 * h], acc[0][j][2 * h + 1]};
      if (threadIdx.x % 4 != 0) continue;
      part.Top()[i] = top[h];
      part.Sum()[i] = sum[h];
    }
  }
};

#endif

}  // namespace hone::kernels::cuda
