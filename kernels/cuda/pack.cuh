#pragma once

// Elements in packs of 16 bytes, as f32, and loops over the packs of rows. Which thread has which
// element never depends on alignment; only the width of the access does.

#include "kernels/cuda/cuda.cuh"

namespace hone::kernels::cuda {

template <typename T>
inline constexpr int kPack = 16 / sizeof(T);

template <int kSize>
struct Pack {
  float v[kSize];
};

template <typename T>
__device__ inline bool IsAligned(const T* p) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

__device__ inline void Convert(const uint4& bits, const float*, float* v) {
  v[0] = __uint_as_float(bits.x);
  v[1] = __uint_as_float(bits.y);
  v[2] = __uint_as_float(bits.z);
  v[3] = __uint_as_float(bits.w);
}
__device__ inline void Convert(const uint4& bits, const __nv_bfloat16*, float* v) {
  const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    v[2 * i] = __uint_as_float(words[i] << 16);
    v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}
__device__ inline uint4 Bits(const float* v, const float*) {
  return make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]),
                    __float_as_uint(v[3]));
}
__device__ inline unsigned TwoBits(float low, float high) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(low)) |
         static_cast<unsigned>(__bfloat16_as_ushort(__float2bfloat16_rn(high))) << 16;
}
__device__ inline uint4 Bits(const float* v, const __nv_bfloat16*) {
  return make_uint4(TwoBits(v[0], v[1]), TwoBits(v[2], v[3]), TwoBits(v[4], v[5]),
                    TwoBits(v[6], v[7]));
}

// p[0 .. kSize), of which the first `n` exist (any number, also none): the others are 0.
template <int kSize, typename T>
__device__ inline Pack<kSize> Load(const T* p, int64_t n) {
  static_assert(kSize % kPack<T> == 0);
  Pack<kSize> x;
  if (n >= kSize && IsAligned(p)) {
#pragma unroll
    for (int i = 0; i < kSize / kPack<T>; ++i)
      Convert(reinterpret_cast<const uint4*>(p)[i], p, x.v + i * kPack<T>);
  } else {
#pragma unroll
    for (int i = 0; i < kSize; ++i) x.v[i] = i < n ? static_cast<float>(p[i]) : 0.0f;
  }
  return x;
}

template <int kSize, typename T>
__device__ inline void Store(T* p, const Pack<kSize>& x, int64_t n) {
  static_assert(kSize % kPack<T> == 0);
  if (n >= kSize && IsAligned(p)) {
#pragma unroll
    for (int i = 0; i < kSize / kPack<T>; ++i)
      reinterpret_cast<uint4*>(p)[i] = Bits(x.v + i * kPack<T>, static_cast<const T*>(p));
  } else {
#pragma unroll
    for (int i = 0; i < kSize; ++i)
      if (i < n) p[i] = T(x.v[i]);
  }
}

// Eight bf16, of which the first n exist; those that get another value are marked. Threads may
// share a word of bits.
__device__ inline void StoreMarked(__nv_bfloat16* p, const Pack<8>& x, int64_t n,
                                   const Marks& marks, int64_t at) {
  const Pack<8> before = Load<8>(p, n);
  Store(p, x, n);
  if (marks.bits == nullptr) return;
  unsigned long long bits = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const bool same = i >= n || __float_as_uint(before.v[i]) >> 16 ==
                                    __bfloat16_as_ushort(__float2bfloat16_rn(x.v[i]));
    if (!same) bits |= 1ull << i;
  }
  const int64_t first = marks.first + at;
  bits <<= first % 32;
  for (int half = 0; half < 2; ++half) {
    const auto part = static_cast<unsigned>(bits >> 32 * half);
    if (part != 0) atomicOr(marks.bits + first / 32 + half, part);
  }
}

// A block of 256 threads for rows of `packs`: as many rows as fit, side by side.
inline dim3 RowBlock(int64_t packs) {
  unsigned x = 1;
  while (x < packs && x < 256) x *= 2;
  return dim3(x, 256 / x);
}
inline unsigned RowGrid(int64_t rows, int64_t packs) {
  return Blocks(rows, RowBlock(packs).y);
}

// f(row, pack) for each pack of each row, launched with RowGrid and RowBlock.
template <typename F>
__device__ inline void ForPacks(int64_t rows, int64_t packs, const F& f) {
  for (int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y; row < rows;
       row += int64_t{gridDim.x} * blockDim.y)
    for (int64_t pack = threadIdx.x; pack < packs; pack += blockDim.x) f(row, pack);
}

inline int64_t PacksOf(int64_t elements, int size) {
  return (elements + size - 1) / size;
}

// --- sums over rows
// ----------------------------------------------------------------------------------------

// Threads of a block of ColumnSumKernel: kColumns packs of columns, and kSegments parts of the
// rows.
inline constexpr int kColumns = 4, kSegments = 128;

// sum[c] += f(row, c) over all rows. A thread takes a contiguous part of the rows in order; the
// parts are added in order, so that the order depends on the number of rows alone. f(row, column,
// count) gives the pack from `column`, with zeros behind `count`.
template <int kSize, typename F>
__device__ inline void ColumnSums(int64_t rows, int64_t columns, float* sum, const F& f) {
  __shared__ float parts[kSegments][kColumns * kSize + 1];
  const int64_t length = (rows + kSegments - 1) / kSegments;
  const int64_t begin = threadIdx.y * length, end = begin + length < rows ? begin + length : rows;
  for (int64_t first = int64_t{blockIdx.x} * kColumns * kSize; first < columns;
       first += int64_t{gridDim.x} * kColumns * kSize) {
    const int64_t column = first + threadIdx.x * kSize;
    Pack<kSize> total = {};
    if (column < columns) {
#pragma unroll 4
      for (int64_t row = begin; row < end; ++row) {
        const Pack<kSize> x = f(row, column, columns - column);
#pragma unroll
        for (int i = 0; i < kSize; ++i) total.v[i] += x.v[i];
      }
    }
#pragma unroll
    for (int i = 0; i < kSize; ++i) parts[threadIdx.y][threadIdx.x * kSize + i] = total.v[i];
    __syncthreads();
    const int own = static_cast<int>(threadIdx.y * kColumns + threadIdx.x);
    if (own < kColumns * kSize && first + own < columns) {
      float s = sum[first + own];
      for (int part = 0; part < kSegments; ++part) s += parts[part][own];
      sum[first + own] = s;
    }
    __syncthreads();
  }
}
template <int kSize>
inline unsigned ColumnGrid(int64_t columns) {
  return Blocks(columns, kColumns * kSize);
}
inline dim3 ColumnBlock() {
  return dim3(kColumns, kSegments);
}

}  // namespace hone::kernels::cuda
