#pragma once

#include <cstdint>

#include "kernels/kernels.h"
#include "libs/base/check.h"

namespace hone {

using kernels::DType;

constexpr int64_t BytesOf(DType dtype) {
  return dtype == DType::kF32 ? 4 : 2;
}

// A view of rows x cols elements; row r begins at r * ld. Does not own its memory. A vector is one
// row.
struct Matrix {
  void* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t ld = 0;
  DType dtype = DType::kF32;

  bool empty() const { return data == nullptr; }
  bool packed() const { return ld == cols || rows <= 1; }
  // Element (r, c) as a pointer, for kernels.
  void* at(int64_t r, int64_t c) const {
    return static_cast<char*>(data) + (r * ld + c) * BytesOf(dtype);
  }
  float* f32() const {
    HONE_CHECK(dtype == DType::kF32);
    return static_cast<float*>(data);
  }
  // Columns [begin, begin + count).
  Matrix Cols(int64_t begin, int64_t count) const {
    HONE_CHECK(begin >= 0 && begin + count <= cols) << begin << "+" << count << " of " << cols;
    return {at(0, begin), rows, count, ld, dtype};
  }
  // Rows [begin, begin + count).
  Matrix Rows(int64_t begin, int64_t count) const {
    HONE_CHECK(begin >= 0 && begin + count <= rows) << begin << "+" << count << " of " << rows;
    return {at(begin, 0), count, cols, ld, dtype};
  }
};

}  // namespace hone
