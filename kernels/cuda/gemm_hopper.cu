// bf16 products C = A B^T on Hopper, dense and per expert. Resident blocks walk over the tiles of
// C; in each, one warp keeps a ring of stages filled by TMA, ahead of the tile at hand, and one or
// two warpgroups multiply by wgmma, 64 rows each.
//
// Batch invariance as in gemm.cu: one chain over k, 16 terms per instruction, no split. The shapes
// use the same instruction on other widths. Its bits may differ from mma.sync's, so the choice
// between this file and gemm.cu looks at N, K and alignment, never at M.

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
  static constexpr int kBytes = kStages * (kStageBytes + 16);
};
using Widest = Shape<2, 256, 4>;
using Wide = Shape<2, 128, 6>;
// Few rows: many tiles along N, each reads its part of B once. Two blocks to a multiprocessor.
using Narrow = Shape<1, 32, 8>;

template <typename S>
__global__ void __launch_bounds__(S::kThreads)
    HopperKernel(Products all, const __grid_constant__ TensorMap map_a,
                 const __grid_constant__ TensorMap map_b) {
#if HONE_HOPPER
  BF16* const stages = DynamicShared<BF16>();
  auto* const full =
      reinterpret_cast<uint64_t*>(stages + S::kStages * (S::kElementsA + S::kElementsB));
  uint64_t* const empty = full + S::kStages;
  const auto stage_a = [&](int slot) { return stages + slot * (S::kElementsA + S::kElementsB); };
  const auto stage_b = [&](int slot) { return stage_a(slot) + S::kElementsA; };
  if (threadIdx.x == 0) {
    for (int i = 0; i < S::kStages; ++i) {
      InitBarrier(full + i, 1);
      InitBarrier(empty + i, 4 * S::kConsumers);  // the consumers' warps
    }
    PublishBarriers();
  }
  __syncthreads();

  const int group = threadIdx.x / 128, lane = threadIdx.x % 32;
  Walk walk;
  Product p;
  int64_t m0, n0;
  int64_t count = 0;  // stages so far; the ring goes on from tile to tile
  const auto find = [&](int64_t t) {
    return all.Find<BF16, Layout::kNT>(walk, t, S::kRows, S::kCols, &p, &m0, &n0);
  };
  if (group == 0) {
    if (threadIdx.x >= 32) return;
    for (int64_t t = blockIdx.x; find(t); t += gridDim.x) {
      const int row = static_cast<int>(p.first + m0), col = static_cast<int>(n0);
      const int item = static_cast<int>(p.item), item_a = all.offsets == nullptr ? item : 0;
      for (int64_t k = 0; k < p.k; k += kDepth, ++count) {
        const int slot = static_cast<int>(count % S::kStages);
        const auto round = static_cast<uint32_t>(count / S::kStages);
        if (lane == 0) {  // alone: a lane that asks late could miss the phase
          WaitPhase(empty + slot, ~round & 1);
          ArriveExpecting(full + slot, S::kStageBytes);
          LoadTensor(stage_a(slot), &map_a, static_cast<int>(k), row, item_a, full + slot);
          LoadTensor(stage_b(slot), &map_b, static_cast<int>(k), col, item, full + slot);
        }
        __syncwarp();
      }
    }
    return;
  }

  const int own = 64 * (group - 1);  // rows of the tile
  for (int64_t t = blockIdx.x; find(t); t += gridDim.x) {
    float acc[1][S::kCols / 8][4];
    Clear(acc);
    const int64_t first = count;
    for (int64_t k = 0; k < p.k; k += kDepth, ++count) {
      const int slot = static_cast<int>(count % S::kStages);
      WaitPhase(full + slot, static_cast<uint32_t>(count / S::kStages) & 1);
      const BF16* a = stage_a(slot) + own * kDepth;
      OpenProducts();
#pragma unroll
      for (int l = 0; l < kDepth; l += 16)
        MultiplyGroup(acc, Operand(a, l), Operand(stage_b(slot), l));
      CommitProducts();
      // The products of the stage before this one are done: it may be filled again.
      WaitProducts<1>();
      if (count > first && lane == 0) Arrive(empty + (count - 1) % S::kStages);
    }
    WaitProducts<0>();
    if (count > first && lane == 0) Arrive(empty + (count - 1) % S::kStages);
    const int top = own + threadIdx.x % 128 / 32 * 16;
    ForFragments(acc, [&](int i, int j, float x, float y) {
      if (m0 + top + i < p.m) p.Store(m0 + top + i, n0 + j, x, y);
    });
  }
#endif
}

template <typename S>
Error LaunchShape(const Products& all, Stream stream) {
  TensorMap map_a, map_b;
  const int64_t items_a = all.offsets == nullptr ? all.items : 1;
  if (Error e =
          MakeTensorMap(&map_a, all.a, all.k, all.m, items_a, all.lda, all.stride_a, S::kRows))
    return e;
  if (Error e =
          MakeTensorMap(&map_b, all.b, all.k, all.n, all.items, all.ldb, all.stride_b, S::kCols))
    return e;
  return LaunchResident("gemm (Hopper)", HopperKernel<S>,
                        all.Tiles(Layout::kNT, S::kRows, S::kCols), S::kThreads, S::kBytes, stream,
                        all, map_a, map_b);
}

}  // namespace

bool TakesHopper(const Products& all, Layout layout) {
  return layout == Layout::kNT && all.a_aligned && all.b_aligned && all.n >= 64 && all.k >= 64 &&
         all.m > 0 && HasHopper();
}

Error LaunchHopper(const Products& all, Stream stream) {
  const int64_t rows = all.RowsHint(Layout::kNT);
  // The widest tile of which there is one for every multiprocessor: it reads least.
  const auto fills = [&](int64_t tile_rows, int64_t tile_cols) {
    return CeilDiv(rows, tile_rows) * CeilDiv(all.n, tile_cols) * all.items >= Processors();
  };
  if (rows > 64 && all.n >= Widest::kCols && fills(Widest::kRows, Widest::kCols))
    return LaunchShape<Widest>(all, stream);
  if (rows > 64 && fills(Wide::kRows, Wide::kCols)) return LaunchShape<Wide>(all, stream);
  return LaunchShape<Narrow>(all, stream);
}

}  // namespace hone::kernels::cuda
