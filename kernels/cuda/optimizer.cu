// What the optimiser does to flat arrays. Memory-bound: AdamW moves 28 bytes per parameter, 32 with
// bf16 weights.

#include "kernels/cuda/pack.cuh"

namespace hone::kernels::cuda {
namespace {

constexpr int kThreads = 256;

constexpr int kEach = 8;  // elements of a thread

// f(first element) for packs of kEach.
template <typename F>
__device__ inline void ForElements(int64_t n, const F& f) {
  for (int64_t i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kEach; i < n;
       i += int64_t{gridDim.x} * blockDim.x * kEach)
    f(i);
}

__global__ void AdamWKernel(AdamWArgs a) {
  const float c1 = 1 - a.beta1, c2 = 1 - a.beta2;
  ForElements(a.n, [&](int64_t at) {
    const int64_t n = a.n - at;
    const Pack<kEach> grad = Load<kEach>(a.grad + at, n);
    Pack<kEach> w = Load<kEach>(a.master + at, n), m = Load<kEach>(a.m + at, n),
                v = Load<kEach>(a.v + at, n);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const float g = grad.v[i] * a.grad_scale;
      m.v[i] = fmaf(a.beta1, m.v[i], c1 * g);
      v.v[i] = fmaf(a.beta2, v.v[i], c2 * g * g);
      const float step = fmaf(a.weight_decay, w.v[i],
                              (m.v[i] / a.correction1) / (sqrtf(v.v[i] / a.correction2) + a.eps));
      w.v[i] = fmaf(-a.lr, step, w.v[i]);
    }
    Store(a.m + at, m, n);
    Store(a.v + at, v, n);
    Store(a.master + at, w, n);
    if (a.rounded != nullptr)
      StoreMarked(static_cast<__nv_bfloat16*>(a.rounded) + at, w, n, a.marks, at);
  });
}

__global__ void AxpbyKernel(AxpbyArgs a) {
  ForElements(a.n, [&](int64_t at) {
    const Pack<kEach> x = Load<kEach>(a.x + at, a.n - at);
    Pack<kEach> y = Load<kEach>(a.y + at, a.n - at);
#pragma unroll
    for (int i = 0; i < kEach; ++i) y.v[i] = fmaf(a.a, x.v[i], a.b * y.v[i]);
    Store(a.y + at, y, a.n - at);
  });
}

constexpr int64_t kBlock = 4096;

// sums[b] = the sum of squares of block b.
__global__ void __launch_bounds__(kThreads)
    BlockSquaresKernel(SumSquaresArgs a, int64_t blocks, double* sums) {
  for (int64_t b = blockIdx.x; b < blocks; b += gridDim.x) {
    double sum = 0;
#pragma unroll
    for (int64_t i = 4 * threadIdx.x; i < kBlock; i += 4 * kThreads) {
      const int64_t at = b * kBlock + i;
      const Pack<4> x = Load<4>(a.x + at, a.n - at);
#pragma unroll
      for (int j = 0; j < 4; ++j) sum += static_cast<double>(x.v[j]) * static_cast<double>(x.v[j]);
    }
    sum = BlockReduce(sum);
    if (threadIdx.x == 0) sums[b] = sum;
  }
}

// *out += the sums. A thread has a contiguous part of them.
__global__ void __launch_bounds__(1024)
    AddSumsKernel(const double* sums, int64_t blocks, double* out) {
  const int64_t length = (blocks + 1023) / 1024, begin = threadIdx.x * length;
  const int64_t end = begin + length < blocks ? begin + length : blocks;
  double sum = 0;
  for (int64_t b = begin; b < end; ++b) sum += sums[b];
  sum = BlockReduce(sum);
  if (threadIdx.x == 0) *out += sum;
}

}  // namespace

Error AdamW(const AdamWArgs& a, Stream stream) {
  if (a.n == 0) return nullptr;
  return Launch("adamw", AdamWKernel, Blocks(a.n, kEach * kThreads), kThreads, 0, stream, a);
}

Error Axpby(const AxpbyArgs& a, Stream stream) {
  if (a.n == 0) return nullptr;
  return Launch("axpby", AxpbyKernel, Blocks(a.n, kEach * kThreads), kThreads, 0, stream, a);
}

Error SumSquares(const SumSquaresArgs& a, Stream stream) {
  if (a.n == 0) return nullptr;
  const int64_t blocks = (a.n + kBlock - 1) / kBlock;
  StreamMemory memory(stream);
  if (Error e = memory.Allocate("sum_squares", blocks * sizeof(double))) return e;
  double* const sums = static_cast<double*>(memory.data());
  if (Error e = Launch("sum_squares", BlockSquaresKernel, Blocks(blocks, 1), kThreads, 0, stream, a,
                       blocks, sums))
    return e;
  return Launch("sum_squares (sum)", AddSumsKernel, 1, 1024, 0, stream, sums, blocks, a.out);
}

}  // namespace hone::kernels::cuda
