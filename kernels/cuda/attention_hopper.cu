// Attention over bf16 heads of 64 or 128 channels on Hopper: as attention.cu, with products of
// warpgroups. A warpgroup has 64 query vectors and keeps their scores, probabilities and results in
// registers; the block's warpgroups share the keys and values.
//
// Batch invariance as there. Whether this file or attention.cu computes a head follows from its
// type, widths and alignment, never from lengths: decoding and training take the same instructions,
// and decoding fills up tiles of 64 vectors, which costs nothing where memory is the limit.

#include "kernels/cuda/attention_hopper.cuh"

namespace hone::kernels::cuda {
namespace {

template <int kGroups_, int kD_>
struct Shape {
  static constexpr int kGroups = kGroups_, kD = kD_;
  static constexpr int kVectors = 64 * kGroups, kThreads = 128 * kGroups;
  static constexpr int kStages = 2;
  static constexpr int kWide = kD / 64 * kTileElements;  // of 64 rows
  static constexpr int kStageElements = 2 * kWide;       // keys, then values
  static constexpr int kBytes = 2 * (kVectors * kD + kStages * kStageElements);
};

#if HONE_HOPPER

// Scores of two vectors (rows g and g + 8 of the warp) over a chunk become probabilities relative
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
        x = exp2f(fmaf(x, scale, -base));
        add += x;
      }
    }
    add = LaneReduce<4>(add);
    // A chunk of which nothing is visible changes nothing.
    shrink[h] = now == top[h] ? 1.0f : exp2f(top[h] - now);
    top[h] = now;
    sum[h] = fmaf(sum[h], shrink[h], add);
  }
}

#endif

template <typename S>
__global__ void __launch_bounds__(S::kThreads, 1)
    AttentionHopperKernel(AttentionArgs a, int fewest, int most, float scale) {
#if HONE_HOPPER
  BF16* const queries = DynamicShared<BF16>();
  BF16* const stages = queries + S::kGroups * S::kWide;
  const int group = threadIdx.x / 128, lane = threadIdx.x % 32;
  const int own = 64 * group + threadIdx.x % 128 / 32 * 16 + lane / 4;  // and own + 8
  const auto tiles = [&](int sequence) {
    const int vectors = Keys(a, sequence, 0).Vectors();
    return vectors < fewest || vectors > most ? int64_t{0}
                                              : CeilDiv(vectors, S::kVectors) * a.kv_heads;
  };
  Walk walk;
  int64_t place;
  for (int64_t tile = blockIdx.x;; tile += gridDim.x) {
    const int sequence = walk.Find(tile, static_cast<int>(a.sequences), tiles, &place);
    if (sequence < 0) break;
    const Keys keys(a, sequence, place % a.kv_heads);
    // The last tiles have the most keys: first.
    const int v0 = S::kVectors *
                   static_cast<int>(CeilDiv(keys.Vectors(), S::kVectors) - 1 - place / a.kv_heads);
    const int count = min(S::kVectors, keys.Vectors() - v0);
    const int all = keys.Visible(v0 + count - 1), chunks = static_cast<int>(CeilDiv(all, kChunk));
    const BF16* const q = static_cast<const BF16*>(a.q);
    const BF16* const k = static_cast<const BF16*>(a.k) + keys.group * a.d;
    const BF16* const v = static_cast<const BF16*>(a.v) + keys.group * a.head_v;
    const auto load = [&](int chunk) {
      BF16* const stage = stages + chunk % S::kStages * S::kStageElements;
      const int first = chunk * kChunk, some = min(kChunk, all - first);
      LoadTiles<S::kD>(stage, kChunk, k, [&](int i) {
        return i < some ? k + keys.rows[first + i] * a.ldk : nullptr;
      });
      LoadTiles<S::kD>(stage + S::kWide, kChunk, v, [&](int i) {
        return i < some ? v + keys.rows[first + i] * a.ldv : nullptr;
      });
      CommitCopies();
    };
    LoadTiles<S::kD>(queries, S::kVectors, q,
                     [&](int i) { return i < count ? q + keys.Query(a, v0 + i, a.ldq) : nullptr; });
    load(0);
    const auto sees = [&](int i) { return i < count ? keys.Visible(v0 + i) : 0; };
    // The most that one of the warpgroup's vectors sees.
    const int most_keys = 64 * group < count ? sees(min(64 * group + 63, count - 1)) : 0;
    float top[2] = {-Infinity(), -Infinity()}, sum[2] = {0.0f, 0.0f};
    float acc[1][S::kD / 8][4];
    Clear(acc);
    for (int chunk = 0; chunk < chunks; ++chunk) {
      WaitCopies<0>();
      PublishWrites();
      __syncthreads();
      if (chunk + 1 < chunks) load(chunk + 1);
      const int first = chunk * kChunk;
      if (first >= most_keys) continue;
      const BF16* const stage = stages + chunk % S::kStages * S::kStageElements;
      float s[1][8][4];
      Clear(s);
      OpenProducts();
      BeginScores<S::kD>(s, queries + group * S::kWide, stage);
      CommitProducts();
      WaitProducts<0>();
      Settle(s);
      const int visible[2] = {sees(own) - first, sees(own + 8) - first};
      float shrink[2];
      Softmax(s, visible, scale, top, sum, shrink);
#pragma unroll
      for (int j = 0; j < S::kD / 8; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) acc[0][j][e] *= shrink[e / 2];
      }
      uint32_t p[4][4];
      Round(p, s);
      OpenProducts();
      BeginSums(acc, p, stage + S::kWide);
      CommitProducts();
      WaitProducts<0>();
      Settle(acc);
    }
    const auto store = [&](int i, int h) {
      if (i >= count) return;
      const int64_t row = keys.Row(a, v0 + i);
      BF16* const out = static_cast<BF16*>(a.out) + row * a.dv + 2 * (lane % 4);
#pragma unroll
      for (int j = 0; j < S::kD / 8; ++j)
        StorePair<BF16>(out + 8 * j, nullptr, acc[0][j][2 * h] / sum[h],
                        acc[0][j][2 * h + 1] / sum[h], 2, true);
      if (a.lse != nullptr && lane % 4 == 0) a.lse[row] = fmaf(top[h], kLn2, logf(sum[h]));
    };
    store(own, 0);
    store(own + 8, 1);
    WaitCopies<0>();
    __syncthreads();  // before the next tile's copies
  }
#endif
}

template <typename S>
Error LaunchShape(const AttentionArgs& a, int fewest, int most, Stream stream) {
  return LaunchResident("attention (Hopper)", AttentionHopperKernel<S>, int64_t{1} << 30,
                        S::kThreads, S::kBytes, stream, a, fewest, most, a.scale * kLog2E);
}

}  // namespace

bool TakesHopper(const AttentionArgs& a) {
  const Alignment aligned = AlignmentOf<BF16>(a);
  return a.dtype == DType::kBF16 && a.d == a.dv && (a.d == 64 || a.d == 128) && aligned.q &&
         aligned.k && aligned.v && a.scale > 0 && HasHopper();
}

Error LaunchHopper(const AttentionArgs& a, Stream stream) {
  // Only the device knows how long a sequence is: one launch takes those of one warpgroup
  // (decoding), several of whose blocks share a multiprocessor; another takes the rest.
  constexpr int kFew = 64, kAny = 0x7fffffff;
  const auto both = [&](auto few, auto many) {
    if (Error e = LaunchShape<decltype(few)>(a, 1, kFew, stream)) return e;
    return LaunchShape<decltype(many)>(a, kFew + 1, kAny, stream);
  };
  return a.d == 64 ? both(Shape<1, 64>(), Shape<3, 64>()) : both(Shape<1, 128>(), Shape<3, 128>());
}

}  // namespace hone::kernels::cuda
