#pragma once

// Stands in for CUDA's header when the sources of kernels/cuda are compiled as plain C++ (block.h).
// What is not here is not emulated: add it with the meaning that the CUDA documentation gives it.
// Left out on purpose:
// __shared__ (HONE_SHARED in kernels/cuda/launch.cuh) and atomics on floats, whose order is
// undefined.

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "tests/kernels/emulated/block.h"
#include "tests/kernels/emulated/cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};

namespace hone_emulation {

inline float2 make_float2(float x, float y) {
  return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w) {
  return {x, y, z, w};
}
inline uint2 make_uint2(unsigned x, unsigned y) {
  return {x, y};
}
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
  return {x, y, z, w};
}
inline int4 make_int4(int x, int y, int z, int w) {
  return {x, y, z, w};
}

// --- barriers
// ---------------------------------------------------------------------------------------

inline void __syncthreads(const Place& at = Place::Here()) {
  Barrier(0, Threads(), 0, at);
}
inline int __syncthreads_count(int x, const Place& at = Place::Here()) {
  return Barrier(0, Threads(), x != 0, at);
}
inline int __syncthreads_or(int x, const Place& at = Place::Here()) {
  return Barrier(0, Threads(), x != 0, at) != 0;
}
inline int __syncthreads_and(int x, const Place& at = Place::Here()) {
  return Barrier(0, Threads(), x == 0, at) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffff, const Place& at = Place::Here()) {
  Exchange(mask, 0, "__syncwarp", at);
}
[[noreturn]] inline void __trap(const Place& at = Place::Here()) {
  Fail("__trap", at);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// --- warps
// --------------------------------------------------------------------------------------------

template <typename T>
uint64_t Bits(T v) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &v, sizeof(T));
  return bits;
}
template <typename T>
T FromBits(uint64_t bits) {
  T v;
  std::memcpy(&v, &bits, sizeof(T));
  return v;
}
// The value of lane `from` if that lies in the caller's part of `width` lanes, else its own.
template <typename T>
T FromLane(unsigned mask, T v, int from, bool inside, const char* what, const Place& at) {
  const int lane = static_cast<int>(Rank() % 32);
  const uint64_t* all = Exchange(mask, Bits(v), what, at);
  if (!inside) from = lane;
  if ((mask >> from & 1) == 0) Fail("a shuffle from a lane that its mask leaves out", at);
  return FromBits<T>(all[from]);
}
template <typename T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32, const Place& at = Place::Here()) {
  const int lane = static_cast<int>(Rank() % 32);
  return FromLane(mask, v, lane / width * width + (source & (width - 1)), true, "__shfl_sync", at);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T v, int xor_mask, int width = 32,
                  const Place& at = Place::Here()) {
  const int lane = static_cast<int>(Rank() % 32), from = lane ^ xor_mask;
  return FromLane(mask, v, from, from / width <= lane / width, "__shfl_xor_sync", at);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32,
                   const Place& at = Place::Here()) {
  const int lane = static_cast<int>(Rank() % 32), from = lane + static_cast<int>(delta);
  return FromLane(mask, v, from, from / width == lane / width, "__shfl_down_sync", at);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32,
                 const Place& at = Place::Here()) {
  const int lane = static_cast<int>(Rank() % 32), from = lane - static_cast<int>(delta);
  return FromLane(mask, v, from, from >= lane / width * width, "__shfl_up_sync", at);
}

// Of the values of the lanes of `mask`, in order.
template <typename T, typename F>
T Fold(unsigned mask, uint64_t value, T start, const char* what, const Place& at, const F& f) {
  const uint64_t* all = Exchange(mask, value, what, at);
  for (int lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) != 0) start = f(start, lane, all[lane]);
  return start;
}
inline unsigned __ballot_sync(unsigned mask, int x, const Place& at = Place::Here()) {
  return Fold(mask, x != 0, 0u, "__ballot_sync", at, [](unsigned set, int lane, uint64_t v) {
    return set | static_cast<unsigned>(v) << lane;
  });
}
inline int __any_sync(unsigned mask, int x, const Place& at = Place::Here()) {
  return __ballot_sync(mask, x, at) != 0;
}
inline int __all_sync(unsigned mask, int x, const Place& at = Place::Here()) {
  return __ballot_sync(mask, x, at) == mask;
}
template <typename T>
unsigned __match_any_sync(unsigned mask, T x, const Place& at = Place::Here()) {
  return Fold(mask, Bits(x), 0u, "__match_any_sync", at, [&](unsigned set, int lane, uint64_t v) {
    return v == Bits(x) ? set | 1u << lane : set;
  });
}
template <typename T, typename F>
T Reduce(unsigned mask, T x, const char* what, const Place& at, const F& f) {
  bool first = true;
  return Fold(mask, Bits(x), T{}, what, at, [&](T sum, int, uint64_t v) {
    const T one = FromBits<T>(v);
    sum = first ? one : f(sum, one);
    first = false;
    return sum;
  });
}
template <std::integral T>
T __reduce_add_sync(unsigned mask, T x, const Place& at = Place::Here()) {
  return Reduce(mask, x, "__reduce_add_sync", at, [](T a, T b) { return static_cast<T>(a + b); });
}
template <std::integral T>
T __reduce_max_sync(unsigned mask, T x, const Place& at = Place::Here()) {
  return Reduce(mask, x, "__reduce_max_sync", at, [](T a, T b) { return std::max(a, b); });
}
template <std::integral T>
T __reduce_min_sync(unsigned mask, T x, const Place& at = Place::Here()) {
  return Reduce(mask, x, "__reduce_min_sync", at, [](T a, T b) { return std::min(a, b); });
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned x, const Place& at = Place::Here()) {
  return Reduce(mask, x, "__reduce_or_sync", at, [](unsigned a, unsigned b) { return a | b; });
}

// --- memory
// -------------------------------------------------------------------------------------------

template <std::integral T>
T atomicAdd(T* p, std::type_identity_t<T> x) {
  const T old = *p;
  *p = static_cast<T>(old + x);
  return old;
}
template <std::integral T>
T atomicMax(T* p, std::type_identity_t<T> x) {
  const T old = *p;
  *p = std::max(old, x);
  return old;
}
template <std::integral T>
T atomicMin(T* p, std::type_identity_t<T> x) {
  const T old = *p;
  *p = std::min(old, x);
  return old;
}
template <std::integral T>
T atomicOr(T* p, std::type_identity_t<T> x) {
  const T old = *p;
  *p = old | x;
  return old;
}
template <std::integral T>
T atomicExch(T* p, std::type_identity_t<T> x) {
  const T old = *p;
  *p = x;
  return old;
}
template <std::integral T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> x) {
  const T old = *p;
  if (old == expected) *p = x;
  return old;
}
template <typename T>
T __ldg(const T* p) {
  return *p;
}
template <typename T>
T __ldcs(const T* p) {
  return *p;
}
template <typename T>
T __ldcg(const T* p) {
  return *p;
}
template <typename T>
void __stcs(T* p, T v) {
  *p = v;
}

// --- numbers
// ------------------------------------------------------------------------------------------

using std::max;
using std::min;

inline float __uint_as_float(unsigned x) {
  return std::bit_cast<float>(x);
}
inline unsigned __float_as_uint(float x) {
  return std::bit_cast<unsigned>(x);
}
inline float __int_as_float(int x) {
  return std::bit_cast<float>(x);
}
inline int __float_as_int(float x) {
  return std::bit_cast<int>(x);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(uint64_t{a} * b >> 32);
}
inline int __popc(unsigned x) {
  return std::popcount(x);
}
inline int __popcll(unsigned long long x) {
  return std::popcount(x);
}
inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned>(x));
}
inline int __clzll(long long x) {
  return std::countl_zero(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) {
  return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1;
}
inline unsigned long long __float2ull_rn(float x) {
  return static_cast<unsigned long long>(std::nearbyint(static_cast<double>(x)));
}
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
// Less exact on a GPU.
inline float __expf(float x) {
  return std::exp(x);
}
inline float __logf(float x) {
  return std::log(x);
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __saturatef(float x) {
  return x > 0 ? (x < 1 ? x : 1) : 0;
}

}  // namespace hone_emulation
// A using directive, and no names in the global namespace: a build with CUDA has functions of the
// same names.
using namespace hone_emulation;
