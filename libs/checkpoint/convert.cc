#include "libs/checkpoint/convert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <type_traits>

#include "libs/base/check.h"

namespace hone {
namespace {

using kernels::DType;

std::array<float, 256> MakeE4M3Table() {
  std::array<float, 256> table;
  for (int code = 0; code < 256; ++code) {
    const int exponent = code >> 3 & 15, mantissa = code & 7;
    float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
    if ((code & 0x7f) == 0x7f) value = std::bit_cast<float>(0x7fc00000u);
    table[code] = code & 0x80 ? -value : value;
  }
  return table;
}
const std::array<float, 256>& E4M3Table() {
  static const std::array<float, 256> table = MakeE4M3Table();
  return table;
}

// float64 to a float32 that rounds to bf16 as the float64 itself would: truncate, and keep
// "something was cut off" in the last bit (round to odd). Plain rounding twice can be off by one
// bf16 step.
float RoundToOdd(double value) {
  float f = static_cast<float>(value);
  if (std::isnan(value) || static_cast<double>(f) == value) return f;
  uint32_t bits = std::bit_cast<uint32_t>(f);
  if (std::fabs(static_cast<double>(f)) > std::fabs(value)) --bits;
  return std::bit_cast<float>(bits | 1);
}

template <typename In, typename Decode>
void ConvertAs(const void* in, DType to, void* out, int64_t n, Decode decode) {
  const In* from = static_cast<const In*>(in);
  if (to == DType::kF32) {
    float* f32 = static_cast<float*>(out);
    for (int64_t i = 0; i < n; ++i) f32[i] = static_cast<float>(decode(from[i]));
  } else {
    uint16_t* bf16 = static_cast<uint16_t*>(out);
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (std::is_same_v<In, double>)
        bf16[i] = FloatToBf16(RoundToOdd(from[i]));
      else
        bf16[i] = FloatToBf16(decode(from[i]));
    }
  }
}

}  // namespace

float E4M3ToFloat(uint8_t code) {
  return E4M3Table()[code];
}

float F16ToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float tiny = static_cast<float>(mantissa) * 0x1p-24f;
  return sign ? -tiny : tiny;
}

float Bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t FloatToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void Convert(StoredDType from, const void* in, DType to, void* out, int64_t n) {
  switch (from) {
    case StoredDType::kF32:
      if (to == DType::kF32)
        std::memcpy(out, in, static_cast<size_t>(n) * 4);
      else
        ConvertAs<float>(in, to, out, n, [](float x) { return x; });
      return;
    case StoredDType::kBF16:
      if (to == DType::kBF16)
        std::memcpy(out, in, static_cast<size_t>(n) * 2);
      else
        ConvertAs<uint16_t>(in, to, out, n, Bf16ToFloat);
      return;
    case StoredDType::kF16:
      return ConvertAs<uint16_t>(in, to, out, n, F16ToFloat);
    case StoredDType::kF64:
      return ConvertAs<double>(in, to, out, n, [](double x) { return x; });
    case StoredDType::kF8E4M3: {
      const std::array<float, 256>& table = E4M3Table();
      return ConvertAs<uint8_t>(in, to, out, n, [&](uint8_t x) { return table[x]; });
    }
    default:
      HONE_CHECK(false) << "no weights of type " << std::string(Name(from));
  }
}

void DequantizeRow(const uint8_t* codes, int64_t n, int64_t first_column, const float* scales,
                   int64_t block_columns, DType to, void* out) {
  const std::array<float, 256>& table = E4M3Table();
  for (int64_t i = 0; i < n;) {
    const int64_t column = first_column + i;
    const int64_t end = std::min(n, i + block_columns - column % block_columns);
    const float scale = scales[column / block_columns];
    if (to == DType::kF32) {
      for (; i < end; ++i) static_cast<float*>(out)[i] = table[codes[i]] * scale;
    } else {
      for (; i < end; ++i) static_cast<uint16_t*>(out)[i] = FloatToBf16(table[codes[i]] * scale);
    }
  }
}

int64_t FirstNonFinite(DType dtype, const void* data, int64_t n) {
  if (dtype == DType::kF32) {
    const uint32_t* bits = static_cast<const uint32_t*>(data);
    for (int64_t i = 0; i < n; ++i)
      if ((bits[i] & 0x7f800000) == 0x7f800000) return i;
  } else {
    const uint16_t* bits = static_cast<const uint16_t*>(data);
    for (int64_t i = 0; i < n; ++i)
      if ((bits[i] & 0x7f80) == 0x7f80) return i;
  }
  return -1;
}

}  // namespace hone
