// Rows that move: embedding, dispatch to experts, the cache; and the gradient of an embedding.

#include "kernels/cuda/pack.cuh"

namespace hone::kernels::cuda {
namespace {

// Bits, not numbers: a NaN stays as it is. U has the size of an element.
template <typename U>
__device__ inline void CopyPack(const U* x, U* out, int64_t n) {
  if (n >= kPack<U> && IsAligned(x) && IsAligned(out)) {
    *reinterpret_cast<uint4*>(out) = *reinterpret_cast<const uint4*>(x);
  } else {
    for (int64_t i = 0; i < kPack<U> && i < n; ++i) out[i] = x[i];
  }
}

template <typename U>
__global__ void GatherKernel(GatherRowsArgs a, int64_t packs) {
  ForPacks(a.n, packs, [&](int64_t n, int64_t pack) {
    const int64_t at = pack * kPack<U>;
    CopyPack(static_cast<const U*>(a.x) + a.index[n] * a.c + at,
             static_cast<U*>(a.out) + n * a.c + at, a.c - at);
  });
}

template <typename U>
__global__ void ScatterKernel(ScatterRowsArgs a, int64_t packs) {
  ForPacks(a.n, packs, [&](int64_t n, int64_t pack) {
    const int64_t at = pack * kPack<U>;
    CopyPack(static_cast<const U*>(a.x) + n * a.ldx + at,
             static_cast<U*>(a.out) + a.index[n] * a.ldo + at, a.c - at);
  });
}

constexpr int kThreads = 256, kIds = 4 * kThreads;

// Bit j: ids[first + j] is `id`, for the four ids of this thread below n.
__device__ inline unsigned Matches(const int32_t* ids, int64_t first, int64_t n, int32_t id) {
  unsigned bits = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j)
    bits |= static_cast<unsigned>(first + j < n && ids[first + j] == id) << j;
  return bits;
}

// A block per row of dout. The first row of an id adds all rows of that id, in their order; the
// others leave.
template <typename T>
__global__ void __launch_bounds__(kThreads) EmbeddingBackwardKernel(EmbeddingBackwardArgs a) {
  constexpr int kSize = kPack<T>;
  __shared__ int64_t rows[kIds];
  for (int64_t n = blockIdx.x; n < a.n; n += gridDim.x) {
    const int32_t id = a.ids[n];
    bool first = true;
    for (int64_t begin = 0; begin < n && first; begin += kIds)
      first =
          __syncthreads_or(static_cast<int>(Matches(a.ids, begin + 4 * threadIdx.x, n, id))) == 0;
    if (!first) continue;
    float* sum = a.dtable + id * a.c;
    for (int64_t begin = n; begin < a.n; begin += kIds) {
      const int64_t own = begin + 4 * threadIdx.x;
      const unsigned matches = Matches(a.ids, own, a.n, id);
      if (__syncthreads_or(static_cast<int>(matches)) == 0) continue;
      int count;
      int at = BlockScan(__popc(matches), &count);
      for (int j = 0; j < 4; ++j)
        if ((matches >> j & 1) != 0) rows[at++] = own + j;
      __syncthreads();
      for (int64_t c = int64_t{threadIdx.x} * kSize; c < a.c; c += kThreads * kSize) {
        Pack<kSize> total = Load<kSize>(sum + c, a.c - c);
#pragma unroll 4
        for (int i = 0; i < count; ++i) {
          const Pack<kSize> x =
              Load<kSize>(static_cast<const T*>(a.dout) + rows[i] * a.c + c, a.c - c);
#pragma unroll
          for (int j = 0; j < kSize; ++j) total.v[j] += x.v[j];
        }
        Store(sum + c, total, a.c - c);
      }
      __syncthreads();
    }
  }
}

// f(U{}) with an integer of the element's size.
template <typename F>
Error WithBits(DType dtype, const F& f) {
  return dtype == DType::kBF16 ? f(uint16_t()) : f(uint32_t());
}

}  // namespace

Error GatherRows(const GatherRowsArgs& a, Stream stream) {
  if (a.n == 0 || a.c == 0) return nullptr;
  return WithBits(a.dtype, [&](auto u) {
    using U = decltype(u);
    const int64_t packs = PacksOf(a.c, kPack<U>);
    return Launch("gather_rows", GatherKernel<U>, RowGrid(a.n, packs), RowBlock(packs), 0, stream,
                  a, packs);
  });
}

Error ScatterRows(const ScatterRowsArgs& a, Stream stream) {
  if (a.n == 0 || a.c == 0) return nullptr;
  return WithBits(a.dtype, [&](auto u) {
    using U = decltype(u);
    const int64_t packs = PacksOf(a.c, kPack<U>);
    return Launch("scatter_rows", ScatterKernel<U>, RowGrid(a.n, packs), RowBlock(packs), 0, stream,
                  a, packs);
  });
}

Error EmbeddingBackward(const EmbeddingBackwardArgs& a, Stream stream) {
  if (a.n == 0 || a.c == 0) return nullptr;
  return WithType(a.dtype, [&](auto t) {
    return Launch("embedding_backward", EmbeddingBackwardKernel<decltype(t)>, Blocks(a.n, 1),
                  kThreads, 0, stream, a);
  });
}

}  // namespace hone::kernels::cuda
