#pragma once

// Stands in for CUDA's header (see cuda_runtime.h).

#include "tests/kernels/emulated/cuda_runtime.h"

namespace hone_emulation {

struct __nv_bfloat16 {
  uint16_t bits;
  __nv_bfloat16() = default;
  // Rounds to nearest even; one NaN for all.
  explicit __nv_bfloat16(float f) {
    const unsigned b = std::bit_cast<unsigned>(f);
    bits = (b & 0x7fffffff) > 0x7f800000
               ? uint16_t{0x7fff}
               : static_cast<uint16_t>((b + 0x7fff + (b >> 16 & 1)) >> 16);
  }
  operator float() const { return std::bit_cast<float>(unsigned{bits} << 16); }
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline float __bfloat162float(__nv_bfloat16 x) {
  return x;
}
inline __nv_bfloat16 __float2bfloat16(float x) {
  return __nv_bfloat16(x);
}
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  return __nv_bfloat16(x);
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {__nv_bfloat16(x), __nv_bfloat16(y)};
}
inline float2 __bfloat1622float2(__nv_bfloat162 v) {
  return {v.x, v.y};
}
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) {
  return x.bits;
}
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short x) {
  return std::bit_cast<__nv_bfloat16>(x);
}

}  // namespace hone_emulation
