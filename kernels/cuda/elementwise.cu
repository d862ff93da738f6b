// Rope, biases, SwiGLU, gradients of MLA's keys and casts. All memory-bound; a thread writes 16
// bytes at a time.

#include "kernels/cuda/pack.cuh"

namespace hone::kernels::cuda {
namespace {

__device__ inline float Sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

// --- rope
// -----------------------------------------------------------------------------------------------------

__device__ inline void Rotate(float& x, float& y, float cos, float sin) {
  const float x0 = x, y0 = y;
  x = fmaf(x0, cos, -(y0 * sin));
  y = fmaf(y0, cos, x0 * sin);
}

// A row of ForPacks is a token: the packs of its heads one behind the other.
template <typename T, bool kInterleaved>
__global__ void RopeKernel(RopeArgs a, unsigned packs_per_head) {
  constexpr int kSize = kPack<T>;
  const float sign = a.inverse ? -1.0f : 1.0f;
  ForPacks(a.n, a.heads * packs_per_head, [&](int64_t n, int64_t item) {
    const unsigned head = static_cast<unsigned>(item) / packs_per_head;
    const unsigned pack = static_cast<unsigned>(item) - head * packs_per_head;
    const T* x = static_cast<const T*>(a.x) + n * a.ldx + head * a.head_x;
    T* out = static_cast<T*>(a.out) + n * a.ldo + head * a.head_o;
    const float* table = a.table + a.positions[n] * a.d;
    const int64_t at = int64_t{pack} * kSize;
    if constexpr (kInterleaved) {
      Pack<kSize> v = Load<kSize>(x + at, a.d - at);
      const Pack<kSize> angle = Load<kSize>(table + at, a.d - at);
#pragma unroll
      for (int i = 0; i < kSize; i += 2)
        Rotate(v.v[i], v.v[i + 1], angle.v[i], sign * angle.v[i + 1]);
      Store(out + at, v, a.d - at);
    } else {
      const int64_t half = a.d / 2;
      Pack<kSize> v = Load<kSize>(x + at, half - at), w = Load<kSize>(x + half + at, half - at);
      const Pack<2 * kSize> angle = Load<2 * kSize>(table + 2 * at, a.d - 2 * at);
#pragma unroll
      for (int i = 0; i < kSize; ++i)
        Rotate(v.v[i], w.v[i], angle.v[2 * i], sign * angle.v[2 * i + 1]);
      Store(out + at, v, half - at);
      Store(out + half + at, w, half - at);
    }
  });
}

// --- bias
// -----------------------------------------------------------------------------------------------------

template <typename T>
__global__ void BiasKernel(BiasArgs a, int64_t packs) {
  constexpr int kSize = kPack<T>;
  ForPacks(a.n, packs, [&](int64_t n, int64_t pack) {
    const int64_t at = pack * kSize;
    Pack<kSize> v = Load<kSize>(static_cast<const T*>(a.bias) + at, a.c - at);
    if (a.x != nullptr) {
      const Pack<kSize> x = Load<kSize>(static_cast<const T*>(a.x) + n * a.ldx + at, a.c - at);
#pragma unroll
      for (int i = 0; i < kSize; ++i) v.v[i] = x.v[i] + v.v[i];
    }
    Store(static_cast<T*>(a.out) + n * a.ldo + at, v, a.c - at);
  });
}

template <typename T>
__global__ void __launch_bounds__(kColumns* kSegments) BiasBackwardKernel(BiasBackwardArgs a) {
  constexpr int kSize = kPack<T>;
  ColumnSums<kSize>(a.n, a.c, a.dbias, [&](int64_t n, int64_t column, int64_t count) {
    return Load<kSize>(static_cast<const T*>(a.dout) + n * a.ldo + column, count);
  });
}

// --- SwiGLU
// ---------------------------------------------------------------------------------------------------

template <typename T>
__global__ void SwigluKernel(SwigluArgs a, int64_t packs) {
  constexpr int kSize = kPack<T>;
  ForPacks(a.n, packs, [&](int64_t n, int64_t pack) {
    const int64_t at = pack * kSize;
    const T* gate = static_cast<const T*>(a.x) + n * 2 * a.f + at;
    Pack<kSize> g = Load<kSize>(gate, a.f - at);
    const Pack<kSize> u = Load<kSize>(gate + a.f, a.f - at);
#pragma unroll
    for (int i = 0; i < kSize; ++i) g.v[i] = g.v[i] * Sigmoid(g.v[i]) * u.v[i];
    Store(static_cast<T*>(a.out) + n * a.f + at, g, a.f - at);
  });
}

template <typename T>
__global__ void SwigluBackwardKernel(SwigluBackwardArgs a, int64_t packs) {
  constexpr int kSize = kPack<T>;
  ForPacks(a.n, packs, [&](int64_t n, int64_t pack) {
    const int64_t at = pack * kSize;
    const T* gate = static_cast<const T*>(a.x) + n * 2 * a.f + at;
    T* dgate = static_cast<T*>(a.dx) + n * 2 * a.f + at;
    Pack<kSize> g = Load<kSize>(gate, a.f - at), u = Load<kSize>(gate + a.f, a.f - at);
    const Pack<kSize> d = Load<kSize>(static_cast<const T*>(a.dout) + n * a.f + at, a.f - at);
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      const float x = g.v[i], s = Sigmoid(x);
      // silu' = s (1 + g (1 - s))
      g.v[i] = d.v[i] * u.v[i] * s * fmaf(x, 1.0f - s, 1.0f);
      u.v[i] = d.v[i] * (x * s);
    }
    Store(dgate, g, a.f - at);
    Store(dgate + a.f, u, a.f - at);
  });
}

// --- gradients of MLA's keys
// -----------------------------------------------------------------------------------------------------

// A row of ForPacks is a token: the packs of its rope part, then those of its heads, keys before
// values.
template <typename T>
__global__ void MlaKeysBackwardKernel(MlaKeysBackwardArgs a, unsigned rope_packs,
                                      unsigned nope_packs, unsigned head_packs) {
  constexpr int kSize = kPack<T>;
  const int64_t d = a.nope + a.rope, wide = a.nope + a.value;
  ForPacks(a.n, rope_packs + a.heads * head_packs, [&](int64_t n, int64_t item) {
    const float* dk = a.dk + n * a.lddk;
    if (item < rope_packs) {
      const int64_t at = item * kSize;
      Pack<kSize> sum{};
      for (int64_t h = 0; h < a.heads; ++h) {
        const Pack<kSize> x = Load<kSize>(dk + h * d + a.nope + at, a.rope - at);
#pragma unroll
        for (int i = 0; i < kSize; ++i) sum.v[i] += x.v[i];
      }
      Store(static_cast<T*>(a.drope) + n * a.ldo + at, sum, a.rope - at);
      return;
    }
    const unsigned place = static_cast<unsigned>(item) - rope_packs, head = place / head_packs;
    const unsigned pack = place - head * head_packs;
    T* dkv = static_cast<T*>(a.dkv) + (n * a.heads + head) * wide;
    if (pack < nope_packs) {
      const int64_t at = int64_t{pack} * kSize;
      Store(dkv + at, Load<kSize>(dk + head * d + at, a.nope - at), a.nope - at);
    } else {
      const int64_t at = int64_t{pack - nope_packs} * kSize;
      Store(dkv + a.nope + at, Load<kSize>(a.dv + n * a.lddv + head * a.value + at, a.value - at),
            a.value - at);
    }
  });
}

// --- cast
// -----------------------------------------------------------------------------------------------------

template <typename To, typename From>
__global__ void CastKernel(const From* x, To* y, int64_t n) {
  for (int64_t i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 8; i < n;
       i += int64_t{gridDim.x} * blockDim.x * 8)
    Store(y + i, Load<8>(x + i, n - i), n - i);
}

__global__ void CastMarkedKernel(const float* x, __nv_bfloat16* y, int64_t n, Marks marks) {
  for (int64_t i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 8; i < n;
       i += int64_t{gridDim.x} * blockDim.x * 8)
    StoreMarked(y + i, Load<8>(x + i, n - i), n - i, marks, i);
}

}  // namespace

Error Rope(const RopeArgs& a, Stream stream) {
  if (a.d % 2 != 0) return "rope: an odd number of channels";
  if (a.n == 0 || a.heads == 0 || a.d == 0) return nullptr;
  return WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t per_head = PacksOf(a.interleaved ? a.d : a.d / 2, kPack<T>),
                  packs = a.heads * per_head;
    if (packs > 0x7fffffff) return "rope: too many channels";
    return Launch("rope", a.interleaved ? RopeKernel<T, true> : RopeKernel<T, false>,
                  RowGrid(a.n, packs), RowBlock(packs), 0, stream, a,
                  static_cast<unsigned>(per_head));
  });
}

Error Bias(const BiasArgs& a, Stream stream) {
  if (a.n == 0 || a.c == 0) return nullptr;
  return WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t packs = PacksOf(a.c, kPack<T>);
    return Launch("bias", BiasKernel<T>, RowGrid(a.n, packs), RowBlock(packs), 0, stream, a, packs);
  });
}

Error BiasBackward(const BiasBackwardArgs& a, Stream stream) {
  if (a.n == 0 || a.c == 0) return nullptr;
  return WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    return Launch("bias_backward", BiasBackwardKernel<T>, ColumnGrid<kPack<T>>(a.c), ColumnBlock(),
                  0, stream, a);
  });
}

Error Swiglu(const SwigluArgs& a, Stream stream) {
  if (a.n == 0 || a.f == 0) return nullptr;
  return WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t packs = PacksOf(a.f, kPack<T>);
    return Launch("swiglu", SwigluKernel<T>, RowGrid(a.n, packs), RowBlock(packs), 0, stream, a,
                  packs);
  });
}

Error SwigluBackward(const SwigluBackwardArgs& a, Stream stream) {
  if (a.n == 0 || a.f == 0) return nullptr;
  return WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t packs = PacksOf(a.f, kPack<T>);
    return Launch("swiglu_backward", SwigluBackwardKernel<T>, RowGrid(a.n, packs), RowBlock(packs),
                  0, stream, a, packs);
  });
}

Error MlaKeysBackward(const MlaKeysBackwardArgs& a, Stream stream) {
  if (a.n == 0) return nullptr;
  return WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t rope = PacksOf(a.rope, kPack<T>), nope = PacksOf(a.nope, kPack<T>),
                  head = nope + PacksOf(a.value, kPack<T>), packs = rope + a.heads * head;
    if (packs > 0x7fffffff) return "mla_keys_backward: too many channels";
    return Launch("mla_keys_backward", MlaKeysBackwardKernel<T>, RowGrid(a.n, packs),
                  RowBlock(packs), 0, stream, a, static_cast<unsigned>(rope),
                  static_cast<unsigned>(nope), static_cast<unsigned>(head));
  });
}

Error Cast(const CastArgs& a, Stream stream) {
  if (a.n == 0) return nullptr;
  if (a.marks.bits != nullptr && (a.from != DType::kF32 || a.to != DType::kBF16))
    return "cast: marks are for f32 -> bf16";
  if (a.from == a.to)
    return a.x == a.y
               ? nullptr
               : Failure("cast", cudaMemcpyAsync(a.y, a.x, a.n * (a.from == DType::kF32 ? 4 : 2),
                                                 cudaMemcpyDeviceToDevice,
                                                 static_cast<cudaStream_t>(stream)));
  const unsigned blocks = Blocks(a.n, 256 * 8);
  if (a.marks.bits != nullptr)
    return Launch("cast (marks)", CastMarkedKernel, blocks, 256, 0, stream,
                  static_cast<const float*>(a.x), static_cast<__nv_bfloat16*>(a.y), a.n, a.marks);
  if (a.from == DType::kF32)
    return Launch("cast", CastKernel<__nv_bfloat16, float>, blocks, 256, 0, stream,
                  static_cast<const float*>(a.x), static_cast<__nv_bfloat16*>(a.y), a.n);
  return Launch("cast", CastKernel<float, __nv_bfloat16>, blocks, 256, 0, stream,
                static_cast<const __nv_bfloat16*>(a.x), static_cast<float*>(a.y), a.n);
}

}  // namespace hone::kernels::cuda
