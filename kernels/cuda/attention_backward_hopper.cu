// Gradients of attention over bf16 heads of 64, 128, or 192 channels (whose values have 128) on
// Hopper: the two passes of attention_backward.cu, with products of warpgroups. Scores,
// probabilities and their gradients stay in registers. dk and dv of the widest heads are in
// attention_backward_hopper_mla.cu.
//
// Both passes need delta = dout . out of every vector. It is computed first and lies in the first
// bytes of the vector's dq, until the second pass has taken it from there and overwrites it.

#include "kernels/cuda/attention_backward_hopper.cuh"

namespace hone::kernels::cuda {
namespace {

// A block has 64 rows of two matrices for each of two warpgroups, and walks over others, also by
// 64: of queries and dout, past keys and values (dq), or the other way round (dk and dv). These
// come through a ring of stages, which all threads fill one ahead. Barriers per stage, not for the
// block, so that one warpgroup can be ahead by a stage and use the tensor cores while the other
// computes probabilities. None leaves out a stage of which it sees nothing: with products around a
// branch the compiler would wait for each.
template <int kD_, int kDV_>
struct Shape {
  static constexpr int kD = kD_, kDV = kDV_;
  static constexpr int kGroups = 2, kRows = 64 * kGroups, kThreads = 128 * kGroups;
  static constexpr int kStages = 3;
  // 64 rows of q or keys, of dout or values.
  static constexpr int kWide = 64 * kD, kWideV = 64 * kDV;
  static constexpr int kOwn = kGroups * (kWide + kWideV);
  static constexpr int kStatistics = kVectorStatistics;
};

#if HONE_HOPPER

__device__ inline const float* Delta(const AttentionBackwardArgs& b, const Keys& keys, int v) {
  return reinterpret_cast<const float*>(static_cast<const BF16*>(b.dq) +
                                        keys.Query(b.forward, v, b.lddq));
}
__device__ inline const BF16* DoutRow(const AttentionBackwardArgs& b, const Keys& keys, int v) {
  return static_cast<const BF16*>(b.dout) + keys.Row(b.forward, v) * b.forward.dv;
}

#endif

template <typename S>
__global__ void __launch_bounds__(256) DeltaKernel(AttentionBackwardArgs b) {
#if HONE_HOPPER
  const AttentionArgs& a = b.forward;
  constexpr int kLanes = S::kDV / 8;
  const int64_t vectors = a.q_start[a.sequences] * a.heads;
  // Whole warps go around together.
  for (int64_t first = blockIdx.x * int64_t{256 / kLanes}; first < vectors;
       first += gridDim.x * int64_t{256 / kLanes}) {
    const int64_t v = first + threadIdx.x / kLanes;
    float sum = 0.0f;
    if (v < vectors) {
      const int64_t at = v * S::kDV + threadIdx.x % kLanes * 8;
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
#else
  NotBuiltForHopper();
#endif
}

// --- dk and dv, from transposed scores: rows are keys, columns are query vectors
// ------------------------------------------------------------------------------

template <typename S>
__global__ void __launch_bounds__(S::kThreads, 1)
    KeyGradientHopperKernel(AttentionBackwardArgs b, int rows, float scale2) {
#if HONE_HOPPER
  const AttentionArgs& a = b.forward;
  __shared__ VectorPlace places[64];
  FindPlaces<S::kD, S::kDV>(places, b);
  Ring<S> ring;
  BF16* const k_tiles = ring.own;
  BF16* const v_tiles = k_tiles + S::kGroups * S::kWide;
  const Place at;
  ForSeenKeys<S::kRows>(b, [&](const Keys& keys, int first, int from) {
    const int first_own = first + 64 * at.group;
    const auto load = [&](int row) {
      ring.Fill([&](BF16* stage, float* statistics) {
        LoadVectors<S::kD, S::kDV, S::kThreads>(stage, statistics, b, keys, row, rows, places);
      });
    };
    LoadKeysAndValues<S::kD, S::kRows, S::kThreads, S::kDV>(k_tiles, v_tiles, a, keys, first,
                                                            keys.kv_len - first);
    load(from);
    float dk[1][S::kD / 8][4], dv[1][S::kDV / 8][4];
    Clear(dk);
    Clear(dv);
    for (int row = from; row < keys.q_len; row += rows) {
      if (row + rows < keys.q_len) load(row + rows);
      ring.Wait();
      const BF16* const stage = ring.Stage(ring.used);
      float s[1][8][4], dp[1][8][4];
      OpenProducts();
      BeginScores<S::kD>(s, k_tiles + at.group * S::kWide, stage);
      CommitProducts();
      BeginScores<S::kDV>(dp, v_tiles + at.group * S::kWideV, stage + S::kWide);
      CommitProducts();
      WaitProducts<1>();
      Settle(s);
      const float2* const lse =
          reinterpret_cast<const float2*>(ring.Statistics(ring.used) + at.column);
      Probabilities(s, lse, scale2, keys, first_own, row, at, places);
      uint32_t p[4][4];
      Round(p, s);
      OpenProducts();
      BeginSums(dv, p, stage + S::kWide);
      CommitProducts();
      WaitProducts<1>();
      Settle(dp);
#pragma unroll
      for (int j = 0; j < 8; ++j) ScoreGradients(dp[0][j], s[0][j], lse[32 + 4 * j]);
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
    AddKeyGradients(dk, a.scale, b.dk + keys.group * a.d, b.lddk, keys, first_own, at);
    AddKeyGradients(dv, 1.0f, b.dv + keys.group * a.head_v, b.lddv, keys, first_own, at);
    __syncthreads();  // before the next keys and values
  });
#else
  NotBuiltForHopper();
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
        LoadKeysAndValues<S::kD, kChunk, S::kThreads, S::kDV>(stage, stage + S::kWide, a, keys,
                                                              first, some);
      });
    };
    LoadTiles<S::kD, S::kRows, S::kThreads>(
        q_tiles, q, [&](int i) { return i < count ? q + keys.Query(a, v0 + i, a.ldq) : nullptr; });
    LoadTiles<S::kDV, S::kRows, S::kThreads>(
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
      BeginScores<S::kDV>(dp, dout_tiles + at.group * S::kWideV, stage + S::kWide);
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
#else
  NotBuiltForHopper();
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
  if constexpr (S::kD == S::kDV) {
    if (Error e = LaunchResident("attention_backward dk, dv (Hopper)", KeyGradientHopperKernel<S>,
                                 kUnknown, S::kThreads, RingBytes<S>(), stream, b, rows, scale2))
      return e;
  } else {
    if (Error e = LaunchKeyGradientPairs(b, rows, scale2, stream)) return e;
  }
  return LaunchResident("attention_backward dq (Hopper)", QueryGradientHopperKernel<S>, kUnknown,
                        S::kThreads, RingBytes<S>(), stream, b, scale2);
}

}  // namespace

bool TakesHopper(const AttentionBackwardArgs& b) {
  const AttentionArgs& a = b.forward;
  const Alignment aligned = AlignmentOf<BF16>(a, b.dout);
  const bool narrow = a.d == a.dv && (a.d == 64 || a.d == 128);
  const bool wide = a.d == 192 && a.dv == 128;
  return a.dtype == DType::kBF16 && (narrow || wide) && aligned.q && aligned.k && aligned.v &&
         aligned.dout && Aligned<BF16>(a.out, 0) && Aligned<BF16>(b.dq, b.lddq) && a.scale > 0 &&
         a.heads / a.kv_heads <= 64 && HasHopper();
}

Error LaunchHopper(const AttentionBackwardArgs& b, Stream stream) {
  if (b.forward.d == 192) return LaunchShape<Shape<192, 128>>(b, stream);
  return b.forward.d == 64 ? LaunchShape<Shape<64, 64>>(b, stream)
                           : LaunchShape<Shape<128, 128>>(b, stream);
}

}  // namespace hone::kernels::cuda
