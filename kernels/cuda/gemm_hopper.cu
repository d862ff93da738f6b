// bf16 products on Hopper, dense and per expert. Resident blocks walk over the tiles of C; in each,
// one warp keeps a ring of stages filled by TMA, ahead of the tile at hand, and one or two
// warpgroups multiply by wgmma, 64 rows each.
//
// Batch invariance as in gemm.cu: one chain over k, 16 terms per instruction, no split. The shapes
// use the same instruction on other widths. Its bits may differ from mma.sync's, so the choice
// between this file and gemm.cu looks at N, K and alignment, never at M (TN: at M and N, never at
// K, the number of tokens).

#include <type_traits>

#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/hopper.cuh"

namespace hone::kernels::cuda {
namespace {

constexpr int kDepth = 64;  // terms of a stage: 128 bytes, the width of the permutation

template <int kConsumers_, int kCols_, int kStages_>
struct Shape {
  static constexpr int kConsumers = kConsumers_, kRows = 64 * kConsumers, kCols = kCols_;
  static constexpr int kStages = kStages_, kThreads = 128 * (1 + kConsumers);
  static constexpr int kElementsA = kRows * kDepth, kElementsB = kCols * kDepth;
  static constexpr int kStageBytes = 2 * (kElementsA + kElementsB);
  static constexpr int kBytes = kStages * (kStageBytes + 16) + 8;
};
using Widest = Shape<2, 256, 4>;
using Wide = Shape<2, 128, 6>;
// Few rows: many tiles along N, each reads its part of B once. Two blocks to a multiprocessor.
// What lies across k comes in tiles of 64 columns.
template <Layout kLayout>
using Narrow = std::conditional_t<kLayout == Layout::kNT, Shape<1, 32, 8>, Shape<1, 64, 6>>;

template <Layout kLayout>
inline constexpr Lie kLieOfA = kLayout == Layout::kTN ? Lie::kAcross : Lie::kAlongK;
template <Layout kLayout>
inline constexpr Lie kLieOfB = kLayout == Layout::kNT ? Lie::kAlongK : Lie::kAcross;

#if HONE_HOPPER

// Rows or columns [i0, i0 + kSize) of an operand, 64 terms from k on.
template <Lie kLie, int kSize>
__device__ inline void LoadOperand(BF16* stage, const TensorMap* map, int i0, int k, int item,
                                   uint64_t* barrier) {
  if constexpr (kLie == Lie::kAlongK) {
    LoadTensor(stage, map, k, i0, item, barrier);
  } else {
    for (int i = 0; i < kSize; i += 64)
      LoadTensor(stage + i * kDepth, map, i0 + i, k, item, barrier);
  }
}

// Zeros from term `from` on in operands that lie across k, by the consumers' threads.
template <typename S>
__device__ inline void ClearTerms(BF16* stage, int from) {
  constexpr int kTiles = (S::kElementsA + S::kElementsB) / (64 * kDepth);
  const int words = 32 * (kDepth - from);  // of a tile
  for (int i = threadIdx.x - 128; i < kTiles * words; i += 128 * S::kConsumers)
    reinterpret_cast<uint32_t*>(stage + i / words * 64 * kDepth)[32 * from + i % words] = 0;
  PublishWrites();
}

#endif

template <typename S, Layout kLayout>
__global__ void __launch_bounds__(S::kThreads)
    HopperKernel(Products all, const __grid_constant__ TensorMap map_a,
                 const __grid_constant__ TensorMap map_b) {
#if HONE_HOPPER
  constexpr Lie kA = kLieOfA<kLayout>, kB = kLieOfB<kLayout>;
  BF16* const stages = DynamicShared<BF16>();
  auto* const full =
      reinterpret_cast<uint64_t*>(stages + S::kStages * (S::kElementsA + S::kElementsB));
  uint64_t* const empty = full + S::kStages;
  uint64_t* const cleared = empty + S::kStages;
  const auto stage_a = [&](int slot) { return stages + slot * (S::kElementsA + S::kElementsB); };
  const auto stage_b = [&](int slot) { return stage_a(slot) + S::kElementsA; };
  if (threadIdx.x == 0) {
    for (int i = 0; i < S::kStages; ++i) {
      InitBarrier(full + i, 1);
      InitBarrier(empty + i, 4 * S::kConsumers);  // the consumers' warps
    }
    InitBarrier(cleared, 4 * S::kConsumers);
    PublishBarriers();
  }
  __syncthreads();

  const int group = threadIdx.x / 128, lane = threadIdx.x % 32;
  Walk walk;
  Product p;
  int64_t m0, n0;
  int64_t count = 0;  // stages so far; the ring goes on from tile to tile
  const auto find = [&](int64_t t) {
    return all.Find<BF16, kLayout>(walk, t, S::kRows, S::kCols, &p, &m0, &n0);
  };
  // Three warpgroups have 168 registers a thread: too few for 128 sums, too many for the copies.
  constexpr bool kMove = S::kConsumers == 2;
  if (group == 0) {
    if constexpr (kMove) KeepRegisters<56>();
    if (threadIdx.x >= 32) return;
    for (int64_t t = blockIdx.x; find(t); t += gridDim.x) {
      // The rows of an expert are rows of A, or terms of both.
      const int first = static_cast<int>(p.first), item = static_cast<int>(p.item);
      const int row = static_cast<int>(m0) + (kLayout == Layout::kTN ? 0 : first);
      const int term = kLayout == Layout::kTN ? first : 0, col = static_cast<int>(n0);
      const int item_a = all.stride_a == 0 ? 0 : item, item_b = all.stride_b == 0 ? 0 : item;
      for (int64_t k = 0; k < p.k; k += kDepth, ++count) {
        const int slot = static_cast<int>(count % S::kStages);
        const auto round = static_cast<uint32_t>(count / S::kStages);
        if (lane == 0) {  // alone: a lane that asks late could miss the phase
          WaitPhase(empty + slot, ~round & 1);
          ArriveExpecting(full + slot, S::kStageBytes);
          const int from = term + static_cast<int>(k);
          LoadOperand<kA, S::kRows>(stage_a(slot), &map_a, row, from, item_a, full + slot);
          LoadOperand<kB, S::kCols>(stage_b(slot), &map_b, col, from, item_b, full + slot);
        }
        __syncwarp();
      }
    }
    return;
  }

  if constexpr (kMove) TakeRegisters<224>();
  const int own = 64 * (group - 1);  // rows of the tile
  uint32_t clearings = 0;
  for (int64_t t = blockIdx.x; find(t); t += gridDim.x) {
    float acc[1][S::kCols / 8][4];
    Clear(acc);
    const int64_t first = count;
    for (int64_t k = 0; k < p.k; k += kDepth, ++count) {
      const int slot = static_cast<int>(count % S::kStages);
      WaitPhase(full + slot, static_cast<uint32_t>(count / S::kStages) & 1);
      if constexpr (kLayout == Layout::kTN) {
        // Behind an expert's last row are those of the next.
        if (all.offsets != nullptr && p.k - k < kDepth) {
          ClearTerms<S>(stage_a(slot), static_cast<int>(p.k - k));
          __syncwarp();
          if (lane == 0) Arrive(cleared);
          WaitPhase(cleared, clearings++ & 1);
        }
      }
      const BF16* a = stage_a(slot) + own * kDepth;
      OpenProducts();
#pragma unroll
      for (int l = 0; l < kDepth; l += 16)
        MultiplyGroup<kA, kB>(acc, Operand<kA>(a, l), Operand<kB>(stage_b(slot), l));
      CommitProducts();
      // The products of the stage before this one are done: it may be filled again.
      WaitProducts<1>();
      if (count > first && lane == 0) Arrive(empty + (count - 1) % S::kStages);
    }
    WaitProducts<0>();
    Settle(acc);
    if (count > first && lane == 0) Arrive(empty + (count - 1) % S::kStages);
    const int top = own + threadIdx.x % 128 / 32 * 16;
    ForFragments(acc, [&](int i, int j, float x, float y) {
      if (m0 + top + i < p.m) p.Store(m0 + top + i, n0 + j, x, y);
    });
  }
#else
  NotBuiltForHopper();
#endif
}

// The map of an operand of `size` rows or columns.
Error MapOperand(TensorMap* map, Lie lie, const void* base, int64_t size, int64_t k, int64_t items,
                 int64_t ld, int64_t stride, int tile) {
  return lie == Lie::kAlongK ? MakeTensorMap(map, base, k, size, items, ld, stride, tile)
                             : MakeTensorMap(map, base, size, k, items, ld, stride, kDepth);
}

template <typename S, Layout kLayout>
Error LaunchShape(const Products& all, Stream stream) {
  TensorMap map_a, map_b;
  // At distance 0 (rows of experts, or an operand of all products) there is one.
  if (Error e = MapOperand(&map_a, kLieOfA<kLayout>, all.a, all.m, all.k,
                           all.stride_a == 0 ? 1 : all.items, all.lda, all.stride_a, S::kRows))
    return e;
  if (Error e = MapOperand(&map_b, kLieOfB<kLayout>, all.b, all.n, all.k,
                           all.stride_b == 0 ? 1 : all.items, all.ldb, all.stride_b, S::kCols))
    return e;
  constexpr const char* kName = S::kConsumers == 1 ? "gemm (Hopper, few rows)"
                                : S::kCols == 256  ? "gemm (Hopper, 128x256)"
                                                   : "gemm (Hopper, 128x128)";
  return LaunchResident(kName, HopperKernel<S, kLayout>, all.Tiles(kLayout, S::kRows, S::kCols),
                        S::kThreads, S::kBytes, stream, all, map_a, map_b);
}

template <Layout kLayout>
Error LaunchLayout(const Products& all, Stream stream) {
  const int64_t rows = all.RowsHint(kLayout);
  // The widest tile of which there is one for every multiprocessor: it reads least.
  const auto fills = [&](int64_t tile_rows, int64_t tile_cols) {
    return CeilDiv(rows, tile_rows) * CeilDiv(all.n, tile_cols) * all.items >= Processors();
  };
  if (rows > 64 && all.n >= Widest::kCols && fills(Widest::kRows, Widest::kCols))
    return LaunchShape<Widest, kLayout>(all, stream);
  if (rows > 64 && fills(Wide::kRows, Wide::kCols)) return LaunchShape<Wide, kLayout>(all, stream);
  return LaunchShape<Narrow<kLayout>, kLayout>(all, stream);
}

}  // namespace

bool TakesHopper(const Products& all, Layout layout) {
  return all.a_aligned && all.b_aligned && all.n >= 64 && all.m > 0 && all.k > 0 &&
         (layout == Layout::kTN ? all.m : all.k) >= 64 && HasHopper();
}

Error LaunchHopper(const Products& all, Layout layout, Stream stream) {
  switch (layout) {
    case Layout::kNT:
      return LaunchLayout<Layout::kNT>(all, stream);
    case Layout::kNN:
      return LaunchLayout<Layout::kNN>(all, stream);
    case Layout::kTN:
      return LaunchLayout<Layout::kTN>(all, stream);
  }
  return "gemm: unknown layout";
}

}  // namespace hone::kernels::cuda
