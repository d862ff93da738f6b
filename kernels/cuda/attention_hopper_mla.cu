// Attention over the latent keys of MLA in absorbed form on Hopper: bf16, 576 channels, of which
// the first 512 are the values, one key/value head. For decoding, prefill and training alike, as
// attention_hopper.cu, with whose batch invariance.
//
// A block has 64 query vectors and three warpgroups:
//   the first copies queries, and keys from where the cache has them, into a ring of two stages;
//   the second computes scores, probabilities, and the first half of the result's channels;
//   the third computes the other half from the probabilities that the second has written.
// In time, for chunks of 64 keys:
//   second   S(i) = Q K^T | softmax(i)  | P V(i) | S(i + 1) | softmax(i + 1) |
//   third                 | P V(i - 1)  |                   | P V(i)         |
// so that the tensor cores work during the softmax, too. The third thus keeps its half of the
// values for long, and two stages would stand still (a third does not fit), were they not given
// back in two parts: that of the second warpgroup's half is refilled from the end of its P V on,
// that of the third's from then on, and scores take their terms in the same order.
//
// Copies by a warpgroup of its own: they go on whatever the others wait for. Its threads signal by
// mbarriers when their copies have come and do not wait for them, so both stages can be under way.

#include <type_traits>

#include "kernels/cuda/attention_hopper.cuh"

namespace hone::kernels::cuda {
namespace {

constexpr int kD = 576, kDV = 512, kVectors = 64, kThreads = 384, kStages = 2;
// Tile 0 has the last 64 channels, which are in the keys only, tile j the channels from 64 (j - 1)
// on. Part 0 of a stage has the values that the second warpgroup multiplies, part 1 the third's.
constexpr int kTiles = kD / 64, kWide = kTiles * kTileElements;

struct Barriers {
  uint64_t full[2][kStages], free[2][kStages];  // parts of stages
  uint64_t queries, queries_free;               // likewise
  uint64_t written;                             // probabilities and factors
  uint64_t turn;  // of the third warpgroup's products: for speed alone
};
// Of a vector and chunk; see Softmax.
struct alignas(16) Factors {
  float shrink, sum, top;
};
constexpr int kBytes = 2 * ((1 + kStages) * kWide + kTileElements) +
                       kVectors * static_cast<int>(sizeof(Factors)) +
                       static_cast<int>(sizeof(Barriers));

#if HONE_HOPPER

constexpr int kMiddle = 5;        // tile where part 1 begins
constexpr int kValues = kDV / 2;  // channels of a half of the result

struct Shared {
  BF16 *queries, *stages, *probabilities;
  Factors* factors;
  Barriers* barriers;

  __device__ Shared()
      : queries(DynamicShared<BF16>()),
        stages(queries + kWide),
        probabilities(stages + kStages * kWide),
        factors(reinterpret_cast<Factors*>(probabilities + kTileElements)),
        barriers(reinterpret_cast<Barriers*>(factors + kVectors)) {}
  // The n-th chunk of the block, whatever tile it belongs to, is round n / kStages of its stage.
  __device__ BF16* Stage(uint32_t n) const { return stages + n % kStages * kWide; }
  template <int kPart>
  __device__ uint64_t* Full(uint32_t n) const {
    return barriers->full[kPart] + n % kStages;
  }
  template <int kPart>
  __device__ uint64_t* Free(uint32_t n) const {
    return barriers->free[kPart] + n % kStages;
  }
  __device__ static uint32_t Parity(uint32_t n) { return n / kStages & 1; }
};

// A thread's 16 bytes of every tile [kFrom, kTo) of rows thread / 8 + 16 j; where from(j) is null,
// zeros instead of what is at `any`.
template <int kFrom, int kTo, typename F>
__device__ inline void CopyRows(BF16* to, const BF16* any, const F& from) {
  const int part = threadIdx.x % 8;
  to = PartOf(to, threadIdx.x / 8, part);  // row % 8 is the same for all of the thread's rows
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const BF16* row = from(j);
    const int bytes = row == nullptr ? 0 : 16;
    if (row == nullptr) row = any;
#pragma unroll
    for (int t = kFrom; t < kTo; ++t)
      CopyAsync16(to + t * kTileElements + 16 * j * 64, row + (t + 8) % kTiles * 64 + 8 * part,
                  bytes);
  }
}

__device__ void CopyTiles(const AttentionArgs& a, Range range, const Shared& shared) {
  const BF16* const q = static_cast<const BF16*>(a.q);
  const BF16* const k = static_cast<const BF16*>(a.k);
  const int first = threadIdx.x / 8;
  uint32_t n = 0, tiles = 0;
  ForTiles<kVectors>(a, range, [&](const Tile& tile) {
    const Keys& keys = tile.keys;
    for (int chunk = tile.first_chunk; chunk < tile.chunks; ++chunk, ++n) {
      const BF16* from[4];  // read from the cache's table before the wait
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int i = chunk * kChunk + first + 16 * j;
        from[j] = i < tile.all ? k + keys.rows[i] * a.ldk : nullptr;
      }
      const auto key = [&](int j) { return from[j]; };
      BF16* const stage = shared.Stage(n);
      WaitPhase(shared.Free<0>(n), ~Shared::Parity(n) & 1);
      CopyRows<0, kMiddle>(stage, k, key);
      ArriveAfterCopies(shared.Full<0>(n));
      if (chunk ==
          tile.first_chunk) {  // between the parts, in the order in which room becomes free
        WaitPhase(&shared.barriers->queries_free, ~tiles & 1);
        CopyRows<0, kTiles>(shared.queries, q, [&](int j) {
          const int i = first + 16 * j;
          return i < tile.count ? q + keys.Query(a, tile.v0 + i, a.ldq) : nullptr;
        });
        ArriveAfterCopies(&shared.barriers->queries);
        ++tiles;
      }
      WaitPhase(shared.Free<1>(n), ~Shared::Parity(n) & 1);
      CopyRows<kMiddle, kTiles>(stage, k, key);
      ArriveAfterCopies(shared.Full<1>(n));
    }
  });
}

// Begins the scores of chunk n by a part's channels.
template <int kPart>
__device__ inline void MultiplyPart(float (&s)[1][8][4], const Shared& shared, uint32_t n) {
  WaitPhase(shared.Full<kPart>(n), Shared::Parity(n));
  PublishWrites();
  OpenProducts();
  constexpr int kFrom = kPart == 0 ? 0 : kMiddle, kTo = kPart == 0 ? kMiddle : kTiles;
  BeginScores<64 * (kTo - kFrom)>(s, shared.queries + kFrom * kTileElements,
                                  shared.Stage(n) + kFrom * kTileElements, kPart > 0);
}

__device__ void ComputeFirstHalf(const AttentionArgs& a, Range range, const Splits& splits,
                                 float scale, const Shared& shared) {
  const int lane = threadIdx.x % 32, t = lane % 4;
  const int own = threadIdx.x % 128 / 32 * 16 + lane / 4;
  // Of row `own` in the tile of probabilities, two keys of the first eight; of others see PartOf.
  const int corner = own * 64 + own % 8 * 8 + 2 * t;
  uint32_t n = 0, tiles = 0;
  ForTiles<kVectors>(a, range, [&](const Tile& tile) {
    const int visible[2] = {tile.Visible(own), tile.Visible(own + 8)};
    Sums<kValues / 8> sums;
    float s[1][8][4];
    WaitPhase(&shared.barriers->queries, tiles++ & 1);
    const auto step = [&](int chunk, auto is_last) {
      constexpr bool kLast = decltype(is_last)::value;
      if (kLast && chunk + 1 == tile.chunks && lane == 0) Arrive(&shared.barriers->queries_free);
      const int first = chunk * kChunk, sees[2] = {visible[0] - first, visible[1] - first};
      float shrink[2];
      Softmax(s, sees, scale, sums.top, sums.sum, shrink);
      uint32_t p[4][4];
      Round(p, s);
      Shrink(sums.acc, shrink);
      // The stage of the next chunk was that of the one before: when it is free, the other half has
      // used what was written for that.
      WaitPhase(shared.Free<1>(n + 1), ~Shared::Parity(n + 1) & 1);
#pragma unroll
      for (int h = 0; h < 2; ++h) {
#pragma unroll
        for (int j = 0; j < 8; ++j)
          *reinterpret_cast<uint32_t*>(shared.probabilities + (corner ^ 8 * j) + 8 * 64 * h) =
              p[j / 2][j % 2 * 2 + h];
        if (t == 0) shared.factors[own + 8 * h] = {shrink[h], sums.sum[h], sums.top[h]};
      }
      PublishWrites();
      Arrive(&shared.barriers->written);
      OpenProducts();
      BeginSums(sums.acc, p, shared.Stage(n) + kTileElements);
      CommitProducts();
      if constexpr (!kLast) {
        MultiplyPart<0>(s, shared, n + 1);
        MultiplyPart<1>(s, shared, n + 1);
      }
      CommitProducts();
      WaitProducts<1>();
      if (lane == 0) Arrive(shared.Free<0>(n));
      WaitProducts<0>();
      if (lane == 0) Arrive(&shared.barriers->turn);
      Settle(sums.acc);
      Settle(s);
      ++n;
    };
    // Apart, since a condition around products of a group makes the compiler wait for each.
    for (int chunk = tile.first_chunk;;) {
      MultiplyPart<0>(s, shared, n);
      MultiplyPart<1>(s, shared, n);
      CommitProducts();
      WaitProducts<0>();
      Settle(s);
      const int last = min(tile.chunks, (chunk / kSplitChunks + 1) * kSplitChunks) - 1;
      for (; chunk < last; ++chunk) step(chunk, std::false_type());
      step(chunk++, std::true_type());
      if (chunk == tile.chunks) break;
      sums.Fold(splits, tile, own);
    }
    sums.Finish(a, splits, tile, own);
  });
}

__device__ void ComputeOtherHalf(const AttentionArgs& a, Range range, const Splits& splits,
                                 const Shared& shared) {
  const int own = threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
  uint32_t n = 0;
  ForTiles<kVectors>(a, range, [&](const Tile& tile) {
    Sums<kValues / 8> sums;
    for (int chunk = tile.first_chunk; chunk < tile.chunks; ++chunk, ++n) {
      WaitPhase(&shared.barriers->written, n & 1);  // after the chunk's keys
      PublishWrites();
      const Factors factors[2] = {shared.factors[own], shared.factors[own + 8]};
      const float shrink[2] = {factors[0].shrink, factors[1].shrink};
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        sums.sum[h] = factors[h].sum;
        sums.top[h] = factors[h].top;
      }
      Shrink(sums.acc, shrink);
      WaitPhase(&shared.barriers->turn, n & 1);
      OpenProducts();
      const uint64_t p = FirstOperand<Lie::kAlongK>(shared.probabilities);
      const uint64_t v = FirstOperand<Lie::kAcross>(shared.Stage(n) + kMiddle * kTileElements);
#pragma unroll
      for (int l = 0; l < 4; ++l)  // of 16 keys
        MultiplyGroup<Lie::kAlongK, Lie::kAcross>(sums.acc, Further(p, 32 * l),
                                                  Further(v, 2048 * l));
      CommitProducts();
      WaitProducts<0>();
      Settle(sums.acc);
      Arrive(shared.Free<1>(n));
      if (EndsSplit(chunk) && chunk + 1 < tile.chunks) sums.Fold(splits, tile, own, 1);
    }
    sums.Finish(a, splits, tile, own, 1);
  });
}

#endif

__global__ void __launch_bounds__(kThreads, 1)
    AttentionHopperLatentKernel(AttentionArgs a, Range range, Splits splits, float scale) {
#if HONE_HOPPER
  const Shared shared;
  Barriers& barriers = *shared.barriers;
  if (threadIdx.x == 0) {
    // The threads of a warpgroup; or its warps, where they have used what only products read.
    for (int i = 0; i < kStages; ++i) {
      InitBarrier(&barriers.full[0][i], 128);
      InitBarrier(&barriers.full[1][i], 128);
      InitBarrier(&barriers.free[0][i], 4);
      InitBarrier(&barriers.free[1][i], 128);
    }
    InitBarrier(&barriers.queries, 128);
    InitBarrier(&barriers.queries_free, 4);
    InitBarrier(&barriers.written, 128);
    InitBarrier(&barriers.turn, 4);
    PublishBarriers();
  }
  __syncthreads();
  // 168 registers a thread: too few for 160 sums, too many for copies.
  if (threadIdx.x < 128) {
    KeepRegisters<56>();
    CopyTiles(a, range, shared);
  } else if (threadIdx.x < 256) {
    TakeRegisters<224>();
    ComputeFirstHalf(a, range, splits, scale, shared);
  } else {
    TakeRegisters<224>();
    ComputeOtherHalf(a, range, splits, shared);
  }
#else
  NotBuiltForHopper();
#endif
}

}  // namespace

bool TakesLatent(const AttentionArgs& a) {
  return Latent(a) && a.d == kD && a.dv == kDV;
}

Error LaunchLatent(const AttentionArgs& a, Stream stream) {
  // Decoding: up to 128 heads, a sequence's splits apart.
  for (const Range range : {Range{1, 128, true}, Range{129, kEvery.most}})
    if (Error e = LaunchSplits<BF16, Binary, kVectors, 2>(
            "attention (Hopper, latent)", AttentionHopperLatentKernel, a, range, kThreads, kBytes,
            stream, a.scale * kLog2E))
      return e;
  return nullptr;
}

}  // namespace hone::kernels::cuda
