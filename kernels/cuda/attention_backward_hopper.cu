// Gradients of attention over bf16 heads of 64 or 128 channels on Hopper: the two passes of
// attention_backward.cu, with products of warpgroups. Scores, probabilities and their gradients
// stay in registers.
//
// Both passes need delta = dout . out of every vector. It is computed first and lies in the first
// bytes of the vector's dq, until the second pass has taken it from there and overwrites it.

#include "kernels/cuda/attention_hopper.cuh"
#include "kernels/cuda/pack.cuh"

namespace hone::kernels::cuda {
namespace {

// A block has 64 rows of two matrices for each of two warpgroups, and walks over others, also by
// 64: of queries and dout, past keys and values (dq), or the other way round (dk and dv). These
// come through a ring of stages, which all threads fill one ahead. Barriers per stage, not for the
// block, so that one warpgroup can be ahead by a stage and use the tensor cores while the other
// computes probabilities. None leaves out a stage of which it sees nothing: with products around a
// branch the compiler would wait for each.
template <int kD_>
struct Shape {
  static constexpr int kD = kD_, kGroups = 2, kRows = 64 * kGroups, kThreads = 128 * kGroups;
  static constexpr int kStages = 3;
  static constexpr int kWide = kD / 64 * kTileElements;  // 64 rows
  static constexpr int kOwn = 2 * kGroups * kWide;
  static constexpr int kStatistics = 128;  // lse, delta
};

#if HONE_HOPPER

__device__ inline const float* Delta(const AttentionBackwardArgs& b, const Keys& keys, int v) {
  return reinterpret_cast<const float*>(static_cast<const BF16*>(b.dq) +
                                        keys.Query(b.forward, v, b.lddq));
}
__device__ inline const BF16* DoutRow(const AttentionBackwardArgs& b, const Keys& keys, int v) {
  return static_cast<const BF16*>(b.dout) + keys.Row(b.forward, v) * b.forward.dv;
}

// Where query vector i of a stage is, in rows and elements from the stage's first: of q, of dout,
// of dq.
struct alignas(16) VectorPlace {
  int row, q, dout, dq;
};

// This thread's part of a warpgroup's 64 rows: rows `row` and row + 8, columns 8 j + `column` and
// the next.
struct Place {
  int group = threadIdx.x / 128, row = threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4,
      column = threadIdx.x % 4 * 2;
};

#endif

template <typename S>
__global__ void __launch_bounds__(256) DeltaKernel(AttentionBackwardArgs b) {
#if HONE_HOPPER
  const AttentionArgs& a = b.forward;
  constexpr int kLanes = S::kD / 8;
  const int64_t vectors = a.q_start[a.sequences] * a.heads;
  // Whole warps go around together.
  for (int64_t first = blockIdx.x * int64_t{256 / kLanes}; first < vectors;
       first += gridDim.x * int64_t{256 / kLanes}) {
    const int64_t v = first + threadIdx.x / kLanes;
    float sum = 0.0f;
    if (v < vectors) {
      const int64_t at = v * S::kD + threadIdx.x % kLanes * 8;
      const auto* out = reinterpret_cast<const uint4*>(static_cast<const BF16*>(a.out) + at);
      const auto* dout = reinterpret_cast<const uint4*>(static_cast<const BF16*>(b.dout) + at);
      float x[8], y[8];
      Convert(*out, static_cast<const BF16*>(a.out), x);
      Convert(*dout, static_cast<const BF16*>(b.dout), y);
#pragma unroll
      for (int i = 0; i < 8; ++i) sum = fmaf(x[i], y[i], sum);
    }
    sum = LaneReduce<kLanes>(sum);
    if (v < vectors && threadIdx.x % kLanes == 0)
      *reinterpret_cast<float*>(static_cast<BF16*>(b.dq) + v / a.heads * b.lddq +
                                v % a.heads * S::kD) = sum;
  }
#endif
}

// --- dk and dv, from transposed scores: rows are keys, columns are query vectors
// ------------------------------------------------------------------------------

template <typename S>
__global__ void __launch_bounds__(S::kThreads, 1)
    KeyGradientHopperKernel(AttentionBackwardArgs b, int rows, float scale2) {
#if HONE_HOPPER
  const AttentionArgs& a = b.forward;
  // A division each, once.
  HONE_SHARED(VectorPlace, places, [64]);
  if (threadIdx.x < 64) {
    const int heads = static_cast<int>(a.heads / a.kv_heads);
    const int row = threadIdx.x / heads, head = threadIdx.x % heads;
    places[threadIdx.x] = {row, row * static_cast<int>(a.ldq) + head * S::kD,
                           (row * static_cast<int>(a.heads) + head) * S::kD,
                           row * static_cast<int>(b.lddq) + head * S::kD};
  }
  Ring<S> ring;
  BF16* const k_tiles = ring.own;
  BF16* const v_tiles = k_tiles + S::kGroups * S::kWide;
  const Place at;
  ForKeyTiles<S::kRows>(b, [&](int cluster, int group, int first) {
    const int first_own = first + 64 * at.group;
    for (int sequence = b.cluster_start[cluster]; sequence < b.cluster_start[cluster + 1];
         ++sequence) {
      const Keys keys(a, sequence, group);
      if (keys.kv_len <= first) continue;
      // From the first query that sees a key of the tile on, whole rows to a stage.
      const int from = max(0, first - (keys.kv_len - keys.q_len));
      const auto load = [&](int row) {
        const int count = min(rows, keys.q_len - row);
        const int64_t at_row = keys.q_first + row, head = keys.group * keys.heads;
        const BF16* const q = static_cast<const BF16*>(a.q) + at_row * a.ldq + head * S::kD;
        const BF16* const dout =
            static_cast<const BF16*>(b.dout) + (at_row * a.heads + head) * S::kD;
        ring.Fill([&](BF16* stage, float* statistics) {
          // One by one: the sums leave few registers.
          ForParts<S::kD, 64, S::kThreads, 1>([&](int i, int part) {
            const VectorPlace p = places[i];
            const bool there = p.row < count;
            CopyAsync16(PartOf(stage, i, part), q + (there ? p.q : 0) + 8 * part, there ? 16 : 0);
            CopyAsync16(PartOf(stage + S::kWide, i, part), dout + (there ? p.dout : 0) + 8 * part,
                        there ? 16 : 0);
          });
          // Behind the last vector p is 1, but whatever it is multiplied by is 0.
          if (threadIdx.x < 128) {
            const VectorPlace p = places[threadIdx.x % 64];
            const void* const lse = a.lse + at_row * a.heads + head + p.dout / S::kD;
            const void* const delta =
                static_cast<const BF16*>(b.dq) + at_row * b.lddq + head * S::kD + p.dq;
            const bool there = p.row < count;
            CopyAsync4(statistics + threadIdx.x,
                       !there             ? a.lse
                       : threadIdx.x < 64 ? lse
                                          : delta,
                       there ? 4 : 0);
          }
        });
      };
      LoadKeysAndValues<S::kD, S::kRows, S::kThreads>(k_tiles, v_tiles, a, keys, first,
                                                      keys.kv_len - first);
      load(from);
      float dk[1][S::kD / 8][4], dv[1][S::kD / 8][4];
      Clear(dk);
      Clear(dv);
      for (int row = from; row < keys.q_len; row += rows) {
        if (row + rows < keys.q_len) load(row + rows);
        ring.Wait();
        const int v0 = row * keys.heads;
        const BF16* const stage = ring.Stage(ring.used);
        float s[1][8][4], dp[1][8][4];
        OpenProducts();
        BeginScores<S::kD>(s, k_tiles + at.group * S::kWide, stage);
        CommitProducts();
        BeginScores<S::kD>(dp, v_tiles + at.group * S::kWide, stage + S::kWide);
        CommitProducts();
        WaitProducts<1>();
        Settle(s);
        const float2* const lse =
            reinterpret_cast<const float2*>(ring.Statistics(ring.used) + at.column);
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          const float2 l = lse[4 * j];
#pragma unroll
          for (int e = 0; e < 4; ++e)
            s[0][j][e] = Exp2(fmaf(s[0][j][e], scale2, (e % 2 == 0 ? l.x : l.y) * -kLog2E));
        }
        if (keys.Visible(v0) < first_own + 64) {
#pragma unroll
          for (int j = 0; j < 8; ++j) {
#pragma unroll
            for (int e = 0; e < 4; ++e)
              if (first_own + at.row + e / 2 * 8 >= keys.Visible(v0 + 8 * j + at.column + e % 2))
                s[0][j][e] = 0.0f;
          }
        }
        uint32_t p[4][4];
        Round(p, s);
        OpenProducts();
        BeginSums(dv, p, stage + S::kWide);
        CommitProducts();
        WaitProducts<1>();
        Settle(dp);
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          const float2 delta = lse[32 + 4 * j];
#pragma unroll
          for (int e = 0; e < 4; ++e)
            dp[0][j][e] = s[0][j][e] * (dp[0][j][e] - (e % 2 == 0 ? delta.x : delta.y));
        }
        uint32_t ds[4][4];
        Round(ds, dp);
        OpenProducts();
        BeginSums(dk, ds, stage);
        CommitProducts();
        WaitProducts<0>();
        Settle(dk);
        Settle(dv);
        ring.Leave();
      }
#pragma unroll
      for (int j = 0; j < S::kD / 8; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) dk[0][j][e] *= a.scale;
      }
      const int own = first_own + threadIdx.x % 128 / 32 * 16;
      AddGradients(dk, b.dk + keys.group * a.d, b.lddk, keys, own, S::kD, 0, S::kD / 16);
      AddGradients(dv, b.dv + keys.group * a.head_v, b.lddv, keys, own, S::kD, 0, S::kD / 16);
      __syncthreads();  // before the next keys and values
    }
  });
#endif
}

// --- dq -----------------------------------------------------------------------

template <typename S>
__global__ void __launch_bounds__(S::kThreads, 1)
    QueryGradientHopperKernel(AttentionBackwardArgs b, float scale2) {
#if HONE_HOPPER
  const AttentionArgs& a = b.forward;
  Ring<S> ring;
  BF16* const q_tiles = ring.own;
  BF16* const dout_tiles = q_tiles + S::kGroups * S::kWide;
  const Place at;
  const int own = 64 * at.group + at.row;
  ForTiles<S::kRows>(a, kEvery, [&](const Tile& tile) {
    const Keys& keys = tile.keys;
    const int v0 = tile.v0, count = tile.count, chunks = tile.chunks;
    const BF16* const q = static_cast<const BF16*>(a.q);
    const BF16* const dout = static_cast<const BF16*>(b.dout);
    const auto load = [&](int chunk) {
      const int first = chunk * kChunk, some = min(kChunk, tile.all - first);
      ring.Fill([&](BF16* stage, float*) {
        LoadKeysAndValues<S::kD, kChunk, S::kThreads>(stage, stage + S::kWide, a, keys, first,
                                                      some);
      });
    };
    LoadTiles<S::kD, S::kRows, S::kThreads>(
        q_tiles, q, [&](int i) { return i < count ? q + keys.Query(a, v0 + i, a.ldq) : nullptr; });
    LoadTiles<S::kD, S::kRows, S::kThreads>(
        dout_tiles, dout, [&](int i) { return i < count ? DoutRow(b, keys, v0 + i) : nullptr; });
    load(0);
    float lse2[2], delta[2];
    int visible[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = own + 8 * h;
      lse2[h] = i < count ? a.lse[keys.Row(a, v0 + i)] * kLog2E : 0.0f;
      delta[h] = i < count ? *Delta(b, keys, v0 + i) : 0.0f;
      visible[h] = tile.Visible(i);
    }
    float dq[1][S::kD / 8][4];
    Clear(dq);
    for (int chunk = 0; chunk < chunks; ++chunk) {
      if (chunk + 1 < chunks) load(chunk + 1);
      ring.Wait();
      const int first = chunk * kChunk;
      const BF16* const stage = ring.Stage(ring.used);
      float s[1][8][4], dp[1][8][4];
      OpenProducts();
      BeginScores<S::kD>(s, q_tiles + at.group * S::kWide, stage);
      CommitProducts();
      BeginScores<S::kD>(dp, dout_tiles + at.group * S::kWide, stage + S::kWide);
      CommitProducts();
      WaitProducts<1>();
      Settle(s);
#pragma unroll
      for (int j = 0; j < 8; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) s[0][j][e] = Exp2(fmaf(s[0][j][e], scale2, -lse2[e / 2]));
      }
      if (min(visible[0], visible[1]) < first + kChunk) {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
#pragma unroll
          for (int e = 0; e < 4; ++e)
            if (first + 8 * j + at.column + e % 2 >= visible[e / 2]) s[0][j][e] = 0.0f;
        }
      }
      WaitProducts<0>();
      Settle(dp);
#pragma unroll
      for (int j = 0; j < 8; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) dp[0][j][e] = s[0][j][e] * (dp[0][j][e] - delta[e / 2]);
      }
      uint32_t ds[4][4];
      Round(ds, dp);
      OpenProducts();
      BeginSums(dq, ds, stage);
      CommitProducts();
      WaitProducts<0>();
      Settle(dq);
      ring.Leave();
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      if (own + 8 * h >= count) continue;
      BF16* const to =
          static_cast<BF16*>(b.dq) + keys.Query(a, v0 + own + 8 * h, b.lddq) + at.column;
#pragma unroll
      for (int j = 0; j < S::kD / 8; ++j)
        StorePair<BF16>(to + 8 * j, nullptr, dq[0][j][2 * h] * a.scale,
                        dq[0][j][2 * h + 1] * a.scale, 2, true);
    }
    __syncthreads();  // before the next queries
  });
#endif
}

template <typename S>
Error LaunchShape(const AttentionBackwardArgs& b, Stream stream) {
  constexpr int64_t kUnknown = int64_t{1} << 30;  // number of tiles
  const float scale2 = b.forward.scale * kLog2E;
  const int rows = 64 / static_cast<int>(b.forward.heads / b.forward.kv_heads);  // of q in a stage
  if (Error e = LaunchResident("attention_backward delta (Hopper)", DeltaKernel<S>, kUnknown, 256,
                               0, stream, b))
    return e;
  if (Error e = LaunchResident("attention_backward dk, dv (Hopper)", KeyGradientHopperKernel<S>,
                               kUnknown, S::kThreads, RingBytes<S>(), stream, b, rows, scale2))
    return e;
  return LaunchResident("attention_backward dq (Hopper)", QueryGradientHopperKernel<S>, kUnknown,
                        S::kThreads, RingBytes<S>(), stream, b, scale2);
}

}  // namespace

bool TakesHopper(const AttentionBackwardArgs& b) {
  return TakesHopper(b.forward) && !TakesLatent(b.forward) &&
         b.forward.heads / b.forward.kv_heads <= 64 && Aligned<BF16>(b.dq, b.lddq) &&
         Aligned<BF16>(b.dout, 0) && Aligned<BF16>(b.forward.out, 0);
}

Error LaunchHopper(const AttentionBackwardArgs& b, Stream stream) {
  return b.forward.d == 64 ? LaunchShape<Shape<64>>(b, stream) : LaunchShape<Shape<128>>(b, stream);
}

}  // namespace hone::kernels::cuda
