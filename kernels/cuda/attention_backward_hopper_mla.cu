// dk and dv of bf16 heads of 192 channels whose values have 128, as MLA has them where it is not
// absorbed, on Hopper. 64 keys have 160 sums a thread of a warpgroup, which leave no room for
// scores: they take a pair of warpgroups, and a third one copies.
//   the first copies queries and their dout, lse and delta into a ring of stages;
//   the second computes S^T = K Q^T, probabilities and dv += P^T dO, and hands over P^T, in f32;
//   the third computes dP^T = V dO^T, ds = p (dp - delta) and dk += dS^T Q.
// Each has half of the products. In time, for stages of 64 query vectors:
//   second   dv(i - 1), S(i)       | p(i)                   | dv(i), S(i + 1)   | p(i + 1)
//   third                          | dk(i - 1), dP(i)       | ds(i)             | dk(i), dP(i + 1)
// Keys and values are in registers as the left operands of products: the 64 x 64 products read them
// from there, else shared memory would be the limit.

#include <type_traits>

#include "kernels/cuda/attention_backward_hopper.cuh"

namespace hone::kernels::cuda {
namespace {

// Stages and, as the block's own, P^T of two of them: float4 j of a thread at 128 j + thread.
struct Shape {
  static constexpr int kD = 192, kDV = 128, kThreads = 384, kStages = 4;
  static constexpr int kStatistics = kVectorStatistics;
  static constexpr int kHanded = 2, kOwn = kHanded * 2 * kTileElements;
};
struct Barriers {
  uint64_t written[Shape::kHanded], taken[Shape::kHanded];
};
constexpr int kRingBytes = RingBytes<Shape>();
constexpr int kBytes = kRingBytes + static_cast<int>(sizeof(Barriers));

#if HONE_HOPPER

// This thread's place of P^T of the n-th stage, and what guards it.
struct Handed {
  float4* p;
  uint64_t *written, *taken;
  uint32_t parity;

  __device__ Handed(BF16* own, Barriers* barriers, uint32_t n)
      : p(reinterpret_cast<float4*>(own + n % Shape::kHanded * 2 * kTileElements) +
          threadIdx.x % 128),
        written(barriers->written + n % Shape::kHanded),
        taken(barriers->taken + n % Shape::kHanded),
        parity(n / Shape::kHanded & 1) {}
};

// Keys, or their values, from `first` on: left operands of products. `from`: of the head.
template <int kD>
__device__ inline void LoadOwn(uint32_t (&to)[kD / 16][4], const void* from, int64_t ld,
                               const Keys& keys, int first, const Place& at) {
  const BF16* rows[2];
  bool there[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int i = first + at.row + 8 * h;
    there[h] = i < keys.kv_len;
    rows[h] = static_cast<const BF16*>(from) + (there[h] ? keys.rows[i] * ld : 0) + at.column;
  }
#pragma unroll
  for (int l = 0; l < kD / 16; ++l) {
#pragma unroll
    for (int e = 0; e < 4; ++e)
      to[l][e] =
          there[e % 2] ? *reinterpret_cast<const uint32_t*>(rows[e % 2] + 16 * l + e / 2 * 8) : 0;
  }
}

using Stages = Ring<Shape, 128, 256>;

__device__ void CopyVectors(const AttentionBackwardArgs& b, int rows,
                            const VectorPlace (&places)[64], Stages& ring) {
  ForSeenKeys<64>(b, [&](const Keys& keys, int, int from) {
    for (int row = from; row < keys.q_len; row += rows)
      ring.Fill([&](BF16* stage, float* statistics) {
        LoadVectors<Shape::kD, Shape::kDV, 128>(stage, statistics, b, keys, row, rows, places);
      });
  });
}

// A sequence's stages for one of the two that compute: begin(stage) begins products of a stage,
// go_on(row, stage, statistics) computes with them and begins others, with which those of the next
// stage run.
template <typename Begin, typename GoOn>
__device__ inline void ForStages(Stages& ring, const Keys& keys, int from, int rows,
                                 const Begin& begin, const GoOn& go_on) {
  const auto begin_ahead = [&](uint32_t ahead) {
    ring.Wait(ahead);
    OpenProducts();
    begin(ring.Stage(ring.used + ahead));
  };
  begin_ahead(0);
  CommitProducts();
  WaitProducts<0>();
  const auto step = [&](int row, auto is_last) {
    go_on(row, ring.Stage(ring.used), ring.Statistics(ring.used));
    CommitProducts();
    if constexpr (!decltype(is_last)::value) begin_ahead(1);
    CommitProducts();
    WaitProducts<1>();
    ring.Leave();
    WaitProducts<0>();
  };
  // Apart, since a condition around products of a group makes the compiler wait for each.
  int row = from;
  for (; row + rows < keys.q_len; row += rows) step(row, std::false_type());
  step(row, std::true_type());
}

__device__ void ComputeValues(const AttentionBackwardArgs& b, int rows, float scale2,
                              const VectorPlace (&places)[64], Barriers* barriers, Stages& ring) {
  const AttentionArgs& a = b.forward;
  const Place at;
  uint32_t n = 0;
  ForSeenKeys<64>(b, [&](const Keys& keys, int first, int from) {
    uint32_t k[Shape::kD / 16][4];
    LoadOwn<Shape::kD>(k, static_cast<const BF16*>(a.k) + keys.group * a.d, a.ldk, keys, first, at);
    float s[1][8][4], dv[1][Shape::kDV / 8][4];
    Clear(dv);
    ForStages(
        ring, keys, from, rows, [&](const BF16* stage) { BeginScores(s, k, stage); },
        [&](int row, const BF16* stage, const float* statistics) {
          Settle(s);
          Settle(dv);
          Probabilities(s, reinterpret_cast<const float2*>(statistics + at.column), scale2, keys,
                        first, row, at, places);
          const Handed handed(ring.own, barriers, n++);
          WaitPhase(handed.taken, ~handed.parity & 1);
#pragma unroll
          for (int j = 0; j < 8; ++j)
            handed.p[128 * j] = make_float4(s[0][j][0], s[0][j][1], s[0][j][2], s[0][j][3]);
          Arrive(handed.written);
          uint32_t p[4][4];
          Round(p, s);
          OpenProducts();
          BeginSums(dv, p, stage + 64 * Shape::kD);
        });
    Settle(dv);
    AddKeyGradients(dv, 1.0f, b.dv + keys.group * a.head_v, b.lddv, keys, first, at);
  });
}

__device__ void ComputeKeys(const AttentionBackwardArgs& b, int rows, Barriers* barriers,
                            Stages& ring) {
  const AttentionArgs& a = b.forward;
  const Place at;
  uint32_t n = 0;
  ForSeenKeys<64>(b, [&](const Keys& keys, int first, int from) {
    uint32_t v[Shape::kDV / 16][4];
    LoadOwn<Shape::kDV>(v, static_cast<const BF16*>(a.v) + keys.group * a.head_v, a.ldv, keys,
                        first, at);
    float dp[1][8][4], dk[1][Shape::kD / 8][4];
    Clear(dk);
    ForStages(
        ring, keys, from, rows,
        [&](const BF16* stage) { BeginScores(dp, v, stage + 64 * Shape::kD); },
        [&](int, const BF16* stage, const float* statistics) {
          Settle(dp);
          Settle(dk);
          const float2* const delta = reinterpret_cast<const float2*>(statistics + 64 + at.column);
          const Handed handed(ring.own, barriers, n++);
          WaitPhase(handed.written, handed.parity);
#pragma unroll
          for (int j = 0; j < 8; ++j) {
            const float4 p = handed.p[128 * j];
            ScoreGradients(dp[0][j], {p.x, p.y, p.z, p.w}, delta[4 * j]);
          }
          Arrive(handed.taken);
          uint32_t ds[4][4];
          Round(ds, dp);
          OpenProducts();
          BeginSums(dk, ds, stage);
        });
    Settle(dk);
    AddKeyGradients(dk, a.scale, b.dk + keys.group * a.d, b.lddk, keys, first, at);
  });
}

#endif

__global__ void __launch_bounds__(Shape::kThreads, 1)
    KeyGradientPairKernel(AttentionBackwardArgs b, int rows, float scale2) {
#if HONE_HOPPER
  __shared__ VectorPlace places[64];
  FindPlaces<Shape::kD, Shape::kDV>(places, b);
  auto* const barriers = reinterpret_cast<Barriers*>(DynamicShared<unsigned char>() + kRingBytes);
  if (threadIdx.x == 0) {
    for (int i = 0; i < Shape::kHanded; ++i) {
      InitBarrier(barriers->written + i, 128);
      InitBarrier(barriers->taken + i, 128);
    }
  }
  Stages ring;  // makes all of that known
  if (threadIdx.x < 128) {
    KeepRegisters<56>();
    CopyVectors(b, rows, places, ring);
  } else if (threadIdx.x < 256) {
    TakeRegisters<224>();
    ComputeValues(b, rows, scale2, places, barriers, ring);
  } else {
    TakeRegisters<224>();
    ComputeKeys(b, rows, barriers, ring);
  }
#else
  NotBuiltForHopper();
#endif
}

}  // namespace

Error LaunchKeyGradientPairs(const AttentionBackwardArgs& b, int rows, float scale2,
                             Stream stream) {
  return LaunchResident("attention_backward dk, dv (Hopper, pairs)", KeyGradientPairKernel,
                        int64_t{1} << 30, Shape::kThreads, kBytes, stream, b, rows, scale2);
}

}  // namespace hone::kernels::cuda
