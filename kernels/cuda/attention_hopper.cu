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
  static constexpr int kGroups = kGroups_, kD = kD_, kDV = kD_;
  static constexpr int kVectors = 64 * kGroups, kThreads = 128 * kGroups;
  // Keys and values: those in use, those that are filled, and those that another warpgroup still
  // uses.
  static constexpr int kStages = kGroups == 1 ? 2 : 3;
  static constexpr int kWide = kD / 64 * kTileElements;  // of 64 rows
  static constexpr int kOwn = kGroups * kWide, kStatistics = 0;
};

template <typename S>
__global__ void __launch_bounds__(S::kThreads, 1)
    AttentionHopperKernel(AttentionArgs a, Range range, Splits splits, float scale) {
#if HONE_HOPPER
  Ring<S> ring;
  BF16* const queries = ring.own;
  const int group = threadIdx.x / 128, lane = threadIdx.x % 32;
  const int own = 64 * group + threadIdx.x % 128 / 32 * 16 + lane / 4;  // and own + 8
  ForTiles<S::kVectors>(a, range, [&](const Tile& tile) {
    const Keys& keys = tile.keys;
    const int v0 = tile.v0, count = tile.count, chunks = tile.chunks;
    const BF16* const q = static_cast<const BF16*>(a.q);
    const auto load = [&](int chunk) {
      const int first = chunk * kChunk, some = min(kChunk, tile.all - first);
      ring.Fill([&](BF16* stage, float*) {
        LoadKeysAndValues<S::kD, kChunk, S::kThreads>(stage, stage + S::kWide, a, keys, first,
                                                      some);
      });
    };
    LoadTiles<S::kD, S::kVectors, S::kThreads>(
        queries, q, [&](int i) { return i < count ? q + keys.Query(a, v0 + i, a.ldq) : nullptr; });
    load(tile.first_chunk);
    // The most that one of the warpgroup's vectors sees.
    const int most_keys = 64 * group < count ? tile.Visible(min(64 * group + 63, count - 1)) : 0;
    Sums<S::kD / 8> sums;
    for (int chunk = tile.first_chunk; chunk < chunks; ++chunk) {
      if (chunk + 1 < chunks) load(chunk + 1);
      const int first = chunk * kChunk;
      if (first >= most_keys) {
        ring.Leave();
        continue;
      }
      ring.Wait();
      const BF16* const stage = ring.Stage(ring.used);
      float s[1][8][4];
      OpenProducts();
      BeginScores<S::kD>(s, queries + group * S::kWide, stage);
      CommitProducts();
      WaitProducts<0>();
      Settle(s);
      const int visible[2] = {tile.Visible(own) - first, tile.Visible(own + 8) - first};
      float shrink[2];
      Softmax(s, visible, scale, sums.top, sums.sum, shrink);
      Shrink(sums.acc, shrink);
      uint32_t p[4][4];
      Round(p, s);
      OpenProducts();
      BeginSums(sums.acc, p, stage + S::kWide);
      CommitProducts();
      WaitProducts<0>();
      Settle(sums.acc);
      ring.Leave();
      if (EndsSplit(chunk) && chunk + 1 < chunks) sums.Fold(splits, tile, own);
    }
    sums.Finish(a, splits, tile, own);
    __syncthreads();  // before the next queries
  });
#else
  NotBuiltForHopper();
#endif
}

template <typename S>
Error LaunchShape(const AttentionArgs& a, Range range, Stream stream) {
  return LaunchSplits<BF16, Binary, S::kVectors>("attention (Hopper)", AttentionHopperKernel<S>, a,
                                                 range, S::kThreads, RingBytes<S>(), stream,
                                                 a.scale * kLog2E);
}

}  // namespace

bool TakesHopper(const AttentionArgs& a) {
  const Alignment aligned = AlignmentOf<BF16>(a);
  const bool narrow = a.d == a.dv && (a.d == 64 || a.d == 128);
  return a.dtype == DType::kBF16 && (narrow || TakesLatent(a)) && aligned.q && aligned.k &&
         aligned.v && Aligned<BF16>(a.out, 0) && a.scale > 0 && HasHopper();
}

Error LaunchHopper(const AttentionArgs& a, Stream stream) {
  if (TakesLatent(a)) return LaunchLatent(a, stream);
  // Only the device knows how long a sequence is: one launch takes those of one warpgroup
  // (decoding), several of whose blocks share a multiprocessor; another takes the rest.
  const auto both = [&](auto few, auto many) {
    if (Error e = LaunchShape<decltype(few)>(a, {1, 64, true}, stream)) return e;
    return LaunchShape<decltype(many)>(a, {65, kEvery.most}, stream);
  };
  return a.d == 64 ? both(Shape<1, 64>(), Shape<3, 64>()) : both(Shape<1, 128>(), Shape<3, 128>());
}

}  // namespace hone::kernels::cuda
