#pragma once

#include <cstdint>
#include <vector>

#include "libs/model/config.h"
#include "libs/tensor/arena.h"
#include "libs/tensor/matrix.h"

namespace hone {

// Keys and values of past tokens: per layer a matrix [rows, kv_width]. MLA keeps the normed latent
// and the rotated rope key (the value is the latent), GQA the rotated keys then the values. Which
// row belongs to which token is the engine's business (blocks of 64 rows).
class KvCache {
 public:
  KvCache(const ModelConfig& config, int64_t rows, DType dtype,
          const kernels::Table& table = kernels::Cpu())
      : rows_(rows),
        width_(config.kv_width()),
        dtype_(dtype),
        buffer_(config.layers * rows * width_ * BytesOf(dtype), table) {}

  int64_t rows() const { return rows_; }
  int64_t bytes() const { return buffer_.bytes(); }
  Matrix Layer(int64_t layer) const {
    return {static_cast<char*>(buffer_.data()) + layer * rows_ * width_ * BytesOf(dtype_), rows_,
            width_, width_, dtype_};
  }

 private:
  int64_t rows_;
  int64_t width_;
  DType dtype_;
  Memory buffer_;
};

}  // namespace hone
