#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "libs/tensor/matrix.h"

namespace hone {

// Bump allocation of activations: everything of a micro-batch is freed at once by Reset, everything
// since a mark by Release. Memory is 64-byte aligned, uninitialized, and kept for the next use. Not
// thread-safe.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* Allocate(int64_t bytes);
  Matrix NewMatrix(int64_t rows, int64_t cols, DType dtype) {
    return {Allocate(rows * cols * BytesOf(dtype)), rows, cols, cols, dtype};
  }
  template <typename T>
  T* NewArray(int64_t n) {
    return static_cast<T*>(Allocate(n * static_cast<int64_t>(sizeof(T))));
  }

  struct Mark {
    size_t block = 0;
    int64_t used = 0;
    int64_t allocated = 0;
  };
  Mark mark() const { return {block_, used_, allocated_}; }
  void Release(Mark m) { block_ = m.block, used_ = m.used, allocated_ = m.allocated; }
  void Reset() { Release({}); }
  // Bytes held, used or not.
  int64_t capacity() const;
  // The most bytes that were allocated at once.
  int64_t peak() const { return peak_; }

 private:
  struct Free {
    void operator()(void* p) const;
  };
  struct Block {
    std::unique_ptr<void, Free> data;
    int64_t bytes;
  };
  std::vector<Block> blocks_;
  size_t block_ = 0;
  int64_t used_ = 0;  // of the block
  int64_t allocated_ = 0;
  int64_t peak_ = 0;
};

// Zero-initialized memory of fixed size, 64-byte aligned: parameters, gradients, caches.
class Memory {
 public:
  Memory() = default;
  explicit Memory(int64_t bytes);
  void* data() const { return data_.get(); }
  int64_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* p) const;
  };
  std::unique_ptr<void, Free> data_;
  int64_t bytes_ = 0;
};

}  // namespace hone
