// Matrix products, dense and per expert, of any size and alignment: bf16 on the tensor cores
// (mma.sync), f32 by fused multiply-adds. One kernel for both: resident blocks walk over the tiles
// of C, each tile in a pipeline of copies. Large bf16 products of aligned operands go to
// gemm_hopper.cu where there is one.
//
// Batch invariance: an element of C is one chain over k (tile.cuh), with no split of K, so neither
// its place in a tile nor the tile's shape changes a bit. What chooses another arithmetic
// (gemm_hopper.cu) looks at N, K, types, leading dimensions and alignment, never at M.

#include "kernels/cuda/gemm.cuh"

namespace hone::kernels::cuda {
namespace {

// A block's tile of C and the part of a warp.
template <int kRows_, int kCols_, int kWarpRows_, int kWarpCols_>
struct Shape {
  static constexpr int kRows = kRows_, kCols = kCols_;
  static constexpr int kWarpRows = kWarpRows_, kWarpCols = kWarpCols_;
  static constexpr int kWarpsAcross = kCols / kWarpCols;
  static constexpr int kThreads = 32 * (kRows / kWarpRows) * kWarpsAcross;
};
using Narrow =
    Shape<16, 64, 16, 16>;  // few rows: many tiles along N, each reads its part of B once
using Middle = Shape<64, 64, 32, 32>;
using Wide = Shape<128, 128, 64, 32>;

constexpr int kStages = 3;

// An operand's part of a stage: `size` rows or columns by kDepth terms.
template <typename T>
constexpr int kDepth = 128 / static_cast<int>(sizeof(T));

template <typename T, Lie kLie, int kSize>
struct Stage {
  // 16 bytes between rows: eight rows of a fragment lie in different banks.
  static constexpr int kLd = (kLie == Lie::kAlongK ? kDepth<T> : kSize) + kVector<T>;
  static constexpr int kElements = (kLie == Lie::kAlongK ? kSize : kDepth<T>)*kLd;

  // Rows or columns [i0, i0 + kSize) of n, terms [k0, k0 + kDepth) of k.
  __device__ static void Load(T* stage, const T* from, int64_t ld, int64_t i0, int64_t n,
                              int64_t k0, int64_t k, bool aligned) {
    if constexpr (kLie == Lie::kAlongK) {
      LoadRows(stage, kLd, kSize, kDepth<T>, static_cast<int>(min(k - k0, int64_t{kDepth<T>})),
               aligned, [=](int i) { return i0 + i < n ? from + (i0 + i) * ld + k0 : nullptr; });
    } else {
      LoadRows(stage, kLd, kDepth<T>, kSize, static_cast<int>(min(n - i0, int64_t{kSize})), aligned,
               [=](int i) { return k0 + i < k ? from + (k0 + i) * ld + i0 : nullptr; });
    }
  }
  __device__ static const T* At(const T* stage, int i) {
    return stage + (kLie == Lie::kAlongK ? i * kLd : i);
  }
};

template <typename T, Layout kLayout, typename S>
__global__ void __launch_bounds__(S::kThreads, 2) ProductKernel(Products all) {
  constexpr Lie kA = kLayout == Layout::kTN ? Lie::kAcross : Lie::kAlongK;
  constexpr Lie kB = kLayout == Layout::kNT ? Lie::kAlongK : Lie::kAcross;
  using StageA = Stage<T, kA, S::kRows>;
  using StageB = Stage<T, kB, S::kCols>;
  T* const shared_a = DynamicShared<T>();
  T* const shared_b = shared_a + kStages * StageA::kElements;
  const int warp = threadIdx.x / 32;
  const int warp_row = warp / S::kWarpsAcross * S::kWarpRows;
  const int warp_col = warp % S::kWarpsAcross * S::kWarpCols;

  Walk walk;
  Product p;
  int64_t m0, n0;
  for (int64_t t = blockIdx.x; all.Find<T, kLayout>(walk, t, S::kRows, S::kCols, &p, &m0, &n0);
       t += gridDim.x) {
    const T* a = static_cast<const T*>(p.a);
    const T* b = static_cast<const T*>(p.b);
    const int64_t steps = CeilDiv(p.k, kDepth<T>);
    const auto load = [&](int64_t step) {
      if (step < steps) {
        const int slot = static_cast<int>(step % kStages);
        StageA::Load(shared_a + slot * StageA::kElements, a, p.lda, m0, p.m, step * kDepth<T>, p.k,
                     p.a_aligned);
        StageB::Load(shared_b + slot * StageB::kElements, b, p.ldb, n0, p.n, step * kDepth<T>, p.k,
                     p.b_aligned);
      }
      CommitCopies();
    };
    float acc[S::kWarpRows / 16][S::kWarpCols / 8][4];
    Clear(acc);
    for (int i = 0; i < kStages - 1; ++i) load(i);
    for (int64_t step = 0; step < steps; ++step) {
      WaitCopies<kStages - 2>();
      __syncthreads();
      load(step + kStages - 1);
      const int slot = static_cast<int>(step % kStages);
      MultiplyTile<kA, kB>(acc, StageA::At(shared_a + slot * StageA::kElements, warp_row),
                           StageA::kLd, StageB::At(shared_b + slot * StageB::kElements, warp_col),
                           StageB::kLd, kDepth<T>);
    }
    ForFragments(acc, [&](int i, int j, float x, float y) {
      const int64_t row = m0 + warp_row + i, col = n0 + warp_col + j;
      if (row < p.m) p.Store(row, col, x, y);
    });
    __syncthreads();  // before the next tile's copies
  }
}

template <typename T, Layout kLayout, typename S>
constexpr int SharedBytes() {
  constexpr Lie kA = kLayout == Layout::kTN ? Lie::kAcross : Lie::kAlongK;
  constexpr Lie kB = kLayout == Layout::kNT ? Lie::kAlongK : Lie::kAcross;
  return kStages * static_cast<int>(sizeof(T)) *
         (Stage<T, kA, S::kRows>::kElements + Stage<T, kB, S::kCols>::kElements);
}

template <typename T, Layout kLayout, typename S>
Error LaunchShape(const Products& all, Stream stream) {
  return LaunchResident("gemm", ProductKernel<T, kLayout, S>,
                        all.Tiles(kLayout, S::kRows, S::kCols), S::kThreads,
                        SharedBytes<T, kLayout, S>(), stream, all);
}

template <typename T, Layout kLayout>
Error LaunchLayout(const Products& all, Stream stream) {
  // Rows of a product: of the mean expert where the device alone knows.
  const int64_t rows = all.RowsHint(kLayout);
  // What every device has, of which some (8.6, 8.9, 12.0) have too little for Wide.
  constexpr int kEveryDevice = 99 << 10;
  static_assert(SharedBytes<T, kLayout, Middle>() <= kEveryDevice);
  if constexpr (sizeof(T) == 2) {
    static_assert(SharedBytes<T, kLayout, Narrow>() <= kEveryDevice);
    if (rows <= Narrow::kRows) return LaunchShape<T, kLayout, Narrow>(all, stream);
    if (CeilDiv(rows, Wide::kRows) * CeilDiv(all.n, Wide::kCols) * all.items >= Processors() &&
        SharedBytes<T, kLayout, Wide>() <= SharedLimit())
      return LaunchShape<T, kLayout, Wide>(all, stream);
  }
  return LaunchShape<T, kLayout, Middle>(all, stream);
}

template <typename T>
Error LaunchType(const Products& all, Layout layout, Stream stream) {
  switch (layout) {
    case Layout::kNT:
      return LaunchLayout<T, Layout::kNT>(all, stream);
    case Layout::kNN:
      return LaunchLayout<T, Layout::kNN>(all, stream);
    case Layout::kTN:
      return LaunchLayout<T, Layout::kTN>(all, stream);
  }
  return "gemm: unknown layout";
}

Error LaunchProducts(Products all, Layout layout, DType dtype, Stream stream) {
  if (all.n <= 0 || all.items <= 0) return nullptr;
  all.c_pairs = reinterpret_cast<uintptr_t>(all.c) % 8 == 0 &&
                reinterpret_cast<uintptr_t>(all.add) % 8 == 0 && all.ldc % 2 == 0 &&
                all.stride_c % 2 == 0;
  if (dtype == DType::kF32) {
    all.a_aligned = Aligned<float>(all.a, all.lda, all.stride_a);
    all.b_aligned = Aligned<float>(all.b, all.ldb, all.stride_b);
    return LaunchType<float>(all, layout, stream);
  }
  all.a_aligned = Aligned<BF16>(all.a, all.lda, all.stride_a);
  all.b_aligned = Aligned<BF16>(all.b, all.ldb, all.stride_b);
  return TakesHopper(all, layout) ? LaunchHopper(all, layout, stream)
                                  : LaunchType<BF16>(all, layout, stream);
}

}  // namespace

Error Gemm(const GemmArgs& g, Stream stream) {
  if (g.m <= 0) return nullptr;
  Products all{};
  all.a = g.a;
  all.b = g.b;
  all.c = g.c;
  all.add = g.add;
  all.m = g.m;
  all.n = g.n;
  all.k = g.k;
  all.lda = g.lda;
  all.ldb = g.ldb;
  all.ldc = g.ldc;
  all.items = g.batch;
  // The distances of a single product mean nothing.
  all.stride_a = g.batch > 1 ? g.stride_a : 0;
  all.stride_b = g.batch > 1 ? g.stride_b : 0;
  all.stride_c = g.batch > 1 ? g.stride_c : 0;
  all.c_dtype = g.c_dtype;
  return LaunchProducts(all, g.layout, g.dtype, stream);
}

Error GroupedGemm(const GroupedGemmArgs& g, Stream stream) {
  const bool tn = g.layout == Layout::kTN;
  if (tn && g.c_dtype != DType::kF32) return "grouped_gemm: c of layout TN must be f32";
  if (tn && g.m <= 0) return nullptr;
  Products all{};
  all.a = g.a;
  all.b = g.b;
  all.c = g.c;
  all.add = tn ? g.c : nullptr;
  all.offsets = g.offsets;
  all.m = tn ? g.m : g.rows;
  all.n = g.n;
  all.k = tn ? g.rows : g.k;
  all.lda = tn ? g.m : g.k;
  all.ldb = g.layout == Layout::kNT ? g.k : g.n;
  all.ldc = g.n;
  all.items = g.experts;
  all.stride_b = tn ? 0 : g.n * g.k;
  all.stride_c = tn ? g.m * g.n : 0;
  all.c_dtype = g.c_dtype;
  return LaunchProducts(all, g.layout, g.dtype, stream);
}

}  // namespace hone::kernels::cuda
