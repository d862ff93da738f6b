// Log-probabilities and their gradient. Memory-bound: Logprob reads the logits once.

#include "kernels/cuda/head.cuh"

namespace hone::kernels::cuda {
namespace {

__global__ void LogprobKernel(LogprobArgs a) {
  for (int64_t n = blockIdx.x; n < a.n; n += gridDim.x) {
    const float* logits = a.logits + n * a.ldl;
    SeeNothing nothing;
    const RowStats stats = StatsOf(logits, a.inv_temperature[n], a.v, nothing);
    if (threadIdx.x == 0) {
      a.logp[n] = LogprobOf(logits, a.inv_temperature[n], a.targets[n], stats.lse);
      a.lse[n] = stats.lse;
      if (a.entropy != nullptr) a.entropy[n] = stats.entropy;
    }
  }
}

template <typename T>
__global__ void LogprobBackwardKernel(LogprobBackwardArgs b, int64_t packs) {
  constexpr int kSize = kPack<T>;
  const LogprobArgs& a = b.forward;
  ForPacks(a.n, packs, [&](int64_t n, int64_t pack) {
    const int64_t at = pack * kSize;
    const float scale = a.inv_temperature[n], lse = a.lse[n], coef = b.coef[n];
    const float dentropy = b.dentropy == nullptr ? 0.0f : b.dentropy[n];
    const float entropy = b.dentropy == nullptr ? 0.0f : a.entropy[n];
    Pack<kSize> x = Load<kSize>(a.logits + n * a.ldl + at, a.v - at);
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      const float log = fmaf(x.v[i], scale, -lse), p = expf(log);
      float d = coef * ((at + i == a.targets[n] ? 1.0f : 0.0f) - p);
      if (b.dentropy != nullptr) d = d - dentropy * p * (fmaxf(-100.0f, log) + entropy);
      x.v[i] = at + i < a.v ? d * scale : 0.0f;
    }
    Store(static_cast<T*>(b.dlogits) + n * b.width + at, x, b.width - at);
  });
}

}  // namespace

Error Logprob(const LogprobArgs& a, Stream stream) {
  if (a.n == 0 || a.v == 0) return nullptr;
  return Launch("logprob", LogprobKernel, Blocks(a.n, 1), HeadThreads(a.v), 0, stream, a);
}

Error LogprobBackward(const LogprobBackwardArgs& b, Stream stream) {
  if (b.width < b.forward.v) return "logprob_backward: width is less than v";
  if (b.dentropy != nullptr && b.forward.entropy == nullptr)
    return "logprob_backward: entropy is missing";
  if (b.forward.n == 0 || b.width == 0) return nullptr;
  return WithType(b.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t packs = PacksOf(b.width, kPack<T>);
    return Launch("logprob_backward", LogprobBackwardKernel<T>, RowGrid(b.forward.n, packs),
                  RowBlock(packs), 0, stream, b, packs);
  });
}

}  // namespace hone::kernels::cuda
