#include "libs/checkpoint/stored_dtype.h"

#include <cstddef>
#include <iterator>
#include <limits>

namespace hone {
namespace {

struct Row {
  StoredDType dtype;
  absl::string_view name;
  int bits;
};

// In the order of the enum, so that a dtype is an index.
constexpr Row kRows[] = {
    {StoredDType::kBool, "BOOL", 8},
    {StoredDType::kU8, "U8", 8},
    {StoredDType::kI8, "I8", 8},
    {StoredDType::kF8E4M3, "F8_E4M3", 8},
    {StoredDType::kF8E5M2, "F8_E5M2", 8},
    {StoredDType::kF8E8M0, "F8_E8M0", 8},
    {StoredDType::kF8E4M3FNUZ, "F8_E4M3FNUZ", 8},
    {StoredDType::kF8E5M2FNUZ, "F8_E5M2FNUZ", 8},
    {StoredDType::kI16, "I16", 16},
    {StoredDType::kU16, "U16", 16},
    {StoredDType::kF16, "F16", 16},
    {StoredDType::kBF16, "BF16", 16},
    {StoredDType::kI32, "I32", 32},
    {StoredDType::kU32, "U32", 32},
    {StoredDType::kF32, "F32", 32},
    {StoredDType::kC64, "C64", 64},
    {StoredDType::kF64, "F64", 64},
    {StoredDType::kI64, "I64", 64},
    {StoredDType::kU64, "U64", 64},
    {StoredDType::kF4, "F4", 4},
    {StoredDType::kF6E2M3, "F6_E2M3", 6},
    {StoredDType::kF6E3M2, "F6_E3M2", 6},
};

constexpr bool InEnumOrder() {
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (static_cast<size_t>(kRows[i].dtype) != i) return false;
  return true;
}
static_assert(InEnumOrder());
static_assert(std::size(kRows) == static_cast<size_t>(StoredDType::kF6E3M2) + 1);

}  // namespace

absl::string_view Name(StoredDType dtype) {
  return kRows[static_cast<size_t>(dtype)].name;
}

absl::optional<StoredDType> StoredDTypeFromName(absl::string_view name) {
  for (const Row& row : kRows)
    if (row.name == name) return row.dtype;
  return absl::nullopt;
}

int Bits(StoredDType dtype) {
  return kRows[static_cast<size_t>(dtype)].bits;
}

bool IsWeight(StoredDType dtype) {
  return dtype == StoredDType::kF32 || dtype == StoredDType::kBF16 || dtype == StoredDType::kF16 ||
         dtype == StoredDType::kF64 || dtype == StoredDType::kF8E4M3;
}

absl::optional<int64_t> ElementCount(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count)) return absl::nullopt;
  return count;
}

absl::optional<int64_t> ByteCount(StoredDType dtype, const std::vector<int64_t>& shape) {
  absl::optional<int64_t> count = ElementCount(shape);
  int64_t bits;
  if (!count || __builtin_mul_overflow(*count, int64_t{Bits(dtype)}, &bits) || bits % 8 != 0)
    return absl::nullopt;
  return bits / 8;
}

}  // namespace hone
