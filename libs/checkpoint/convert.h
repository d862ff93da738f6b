#pragma once

// Stored element types to the two that computation uses. Rounding is to nearest even, once.

#include <cstdint>

#include "kernels/kernels.h"
#include "libs/checkpoint/stored_dtype.h"

namespace hone {

// E4M3FN: 1 sign, 4 exponent (bias 7), 3 mantissa bits; no infinities; NaN is 0x7f and 0xff.
float E4M3ToFloat(uint8_t code);
float F16ToFloat(uint16_t bits);
float Bf16ToFloat(uint16_t bits);
// A NaN stays a (quiet) NaN.
uint16_t FloatToBf16(float value);

// Converts `n` packed elements. `from` satisfies IsWeight; F8_E4M3 codes are decoded without a
// scale. `in` and `out` are aligned for their types and do not overlap.
void Convert(StoredDType from, const void* in, kernels::DType to, void* out, int64_t n);

// out[i] = e4m3(codes[i]) * scales[(first_column + i) / block_columns], for one row of a matrix.
void DequantizeRow(const uint8_t* codes, int64_t n, int64_t first_column, const float* scales,
                   int64_t block_columns, kernels::DType to, void* out);

// Index of the first infinity or NaN, -1 when there is none.
int64_t FirstNonFinite(kernels::DType dtype, const void* data, int64_t n);

// Bytes of one element.
inline int64_t ElementBytes(kernels::DType dtype) {
  return dtype == kernels::DType::kF32 ? 4 : 2;
}

}  // namespace hone
