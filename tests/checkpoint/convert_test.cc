#include "libs/checkpoint/convert.h"

#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/checkpoint/files.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using kernels::DType;

TEST_CASE("Every E4M3 code decodes as the table says", "[checkpoint]") {
  const nlohmann::json table = nlohmann::json::parse(ReadText(Golden("e4m3fn_decode_table.json")));
  REQUIRE(table.size() == 256);
  for (int code = 0; code < 256; ++code) {
    INFO(code);
    const float got = E4M3ToFloat(static_cast<uint8_t>(code));
    if ((code & 0x7f) == 0x7f) {
      CHECK(std::isnan(got));
    } else {
      CHECK(got == table[code].get<float>());
      CHECK(std::signbit(got) == (code >= 128));
    }
  }
}

TEST_CASE("F16 decodes zeros, subnormals, normals and specials", "[checkpoint]") {
  CHECK(F16ToFloat(0x3c00) == 1.0f);
  CHECK(F16ToFloat(0xc000) == -2.0f);
  CHECK(F16ToFloat(0x0001) == 0x1p-24f);
  CHECK(F16ToFloat(0x83ff) == -1023 * 0x1p-24f);
  CHECK(F16ToFloat(0x7bff) == 65504.0f);
  CHECK(std::signbit(F16ToFloat(0x8000)));
  CHECK(std::isinf(F16ToFloat(0xfc00)));
  CHECK(std::isnan(F16ToFloat(0x7e01)));
}

TEST_CASE("BF16 rounds to nearest even and keeps NaN", "[checkpoint]") {
  CHECK(FloatToBf16(1.0f) == 0x3f80);
  CHECK(FloatToBf16(std::bit_cast<float>(0x3f808000u)) == 0x3f80);  // tie, even below
  CHECK(FloatToBf16(std::bit_cast<float>(0x3f818000u)) == 0x3f82);  // tie, even above
  CHECK(FloatToBf16(std::bit_cast<float>(0x3f808001u)) == 0x3f81);
  CHECK(FloatToBf16(std::numeric_limits<float>::max()) == 0x7f80);
  CHECK(std::isnan(Bf16ToFloat(FloatToBf16(std::bit_cast<float>(0x7f800001u)))));
  for (uint32_t bits = 0; bits < 0x10000; ++bits)
    if (!std::isnan(Bf16ToFloat(static_cast<uint16_t>(bits))))
      REQUIRE(FloatToBf16(Bf16ToFloat(static_cast<uint16_t>(bits))) == bits);
}

TEST_CASE("F64 reaches BF16 with one rounding", "[checkpoint]") {
  // 1 + 2^-8 is a tie between 1 and 1 + 2^-7; a hair above it must go up, a hair below down.
  // Rounding through float first would make both ties, which go to the even 1.
  const double in[] = {1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-8 - 0x1p-40, 1 + 0x1p-8,
                       -(1 + 0x1p-8 + 0x1p-40), 1e300};
  uint16_t out[5];
  Convert(StoredDType::kF64, in, DType::kBF16, out, 5);
  CHECK(out[0] == 0x3f81);
  CHECK(out[1] == 0x3f80);
  CHECK(out[2] == 0x3f80);
  CHECK(out[3] == 0xbf81);
  CHECK(out[4] == 0x7f80);
  float f32[5];
  Convert(StoredDType::kF64, in, DType::kF32, f32, 5);
  CHECK(f32[0] == 1 + 0x1p-8f);
}

TEST_CASE("Scales follow blocks of columns from any first column", "[checkpoint]") {
  const std::vector<uint8_t> ones(10, 0x38);
  const float scales[] = {1, 2, 3};
  float out[10];
  DequantizeRow(ones.data(), 7, 3, scales, 4, DType::kF32, out);
  CHECK(std::vector<float>(out, out + 7) == std::vector<float>{1, 2, 2, 2, 2, 3, 3});
}

TEST_CASE("The first value that is not finite is found", "[checkpoint]") {
  const float f32[] = {0, -1, INFINITY, NAN};
  CHECK(FirstNonFinite(DType::kF32, f32, 4) == 2);
  CHECK(FirstNonFinite(DType::kF32, f32, 2) == -1);
  const uint16_t bf16[] = {0x3f80, 0xffc0};
  CHECK(FirstNonFinite(DType::kBF16, bf16, 2) == 1);
}

}  // namespace
}  // namespace hone
