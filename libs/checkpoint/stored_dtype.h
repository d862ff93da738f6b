#pragma once

// The element types that a safetensors file can hold, and the description of one stored tensor.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace hone {

// On-disk element types. kernels::DType names what computation uses; this one names what files
// contain.
enum class StoredDType : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kF8E4M3FNUZ,
  kF8E5M2FNUZ,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
  kF4,
  kF6E2M3,
  kF6E3M2,
};

// "BF16", as written in a safetensors header.
absl::string_view Name(StoredDType dtype);
// nullopt when the name is not one of the above.
absl::optional<StoredDType> StoredDTypeFromName(absl::string_view name);
// Bits of one element: 4, 6 or a multiple of 8.
int Bits(StoredDType dtype);
// True for the types that can be read as weights: F32, BF16, F16, F64, F8_E4M3.
bool IsWeight(StoredDType dtype);

// What a writer is told about a tensor before its bytes arrive.
struct TensorSpec {
  std::string name;
  StoredDType dtype = StoredDType::kF32;
  std::vector<int64_t> shape;  // row-major; empty: a scalar
};

// Elements of a shape (1 for a scalar), nullopt when the count does not fit int64.
absl::optional<int64_t> ElementCount(const std::vector<int64_t>& shape);
// Packed bytes of the tensor; nullopt when they do not fit int64 or end inside a byte.
absl::optional<int64_t> ByteCount(StoredDType dtype, const std::vector<int64_t>& shape);

}  // namespace hone
