// Expert load per sequence, for the balance loss. One block per sequence and one thread per expert (in strides): an expert
// is among the K best of a token when fewer than K scores of its row come before it.

#include "kernels/cuda/cuda.cuh"

namespace hone::kernels::cuda {
namespace {

__global__ void SequenceBalanceKernel(SequenceBalanceArgs a) {
  float* row = DynamicShared<float>();  // [E] scores of one token, then [E] counts
  int* chosen = reinterpret_cast<int*>(row + a.e);
  const int64_t s = blockIdx.x;
  const int64_t begin = a.q_start[s], end = a.q_start[s + 1];
  for (int64_t i = threadIdx.x; i < a.e; i += blockDim.x) chosen[i] = 0;
  for (int64_t n = begin; n < end; ++n) {
    __syncthreads();
    for (int64_t i = threadIdx.x; i < a.e; i += blockDim.x) row[i] = a.scores[n * a.e + i];
    if (threadIdx.x == 0) a.sequence_of[n] = static_cast<int32_t>(s);
    __syncthreads();
    for (int64_t i = threadIdx.x; i < a.e; i += blockDim.x) {
      int64_t before = 0;
      for (int64_t j = 0; j < a.e; ++j) before += row[j] > row[i] || (row[j] == row[i] && j < i);
      chosen[i] += before < a.k;
    }
  }
  const double tokens = static_cast<double>(end - begin);
  for (int64_t i = threadIdx.x; i < a.e; i += blockDim.x) {
    const double f = chosen[i] * static_cast<double>(a.e) / (static_cast<double>(a.k) * tokens);
    a.gradient[s * a.e + i] = end == begin ? 0.0f : static_cast<float>(a.alpha * f / tokens);
  }
}

}  // namespace

Error SequenceBalance(const SequenceBalanceArgs& a, Stream stream) {
  if (a.sequences == 0) return nullptr;
  const unsigned threads = a.e < 256 ? static_cast<unsigned>((a.e + 31) / 32 * 32) : 256;
  return Launch("sequence_balance", SequenceBalanceKernel, static_cast<unsigned>(a.sequences), threads,
                static_cast<size_t>(8 * a.e), stream, a);
}

}  // namespace hone::kernels::cuda
