#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "libs/tensor/matrix.h"

namespace hone {

// Gives device memory back to the backend that it is from.
struct ReleaseMemory {
  const kernels::Table* table;
  void operator()(void* p) const { table->release(p); }
};
using DevicePtr = std::unique_ptr<void, ReleaseMemory>;

// Bump allocation of activations: everything of a micro-batch is freed at once by Reset, everything
// since a mark by Release. Memory is the device's, 64-byte aligned, uninitialized, and kept for the
// next use, which must be on the same stream. Not thread-safe.
class Arena {
 public:
  explicit Arena(const kernels::Table& table = kernels::Cpu()) : table_(&table) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  static constexpr int64_t kAlign = 64;
  static constexpr int64_t RoundUp(int64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

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
  // One block, for `bytes` and for the most that there ever was, in place of those of now, when
  // nothing is allocated. What does not fit makes further blocks, a quarter larger than needed at
  // most.
  void Reserve(int64_t bytes);
  // Bytes held, used or not.
  int64_t capacity() const;
  // The most bytes that were allocated at once.
  int64_t peak() const { return peak_; }

 private:
  struct Block {
    DevicePtr data;
    int64_t bytes;
  };
  const kernels::Table* table_;
  std::vector<Block> blocks_;
  size_t block_ = 0;
  int64_t used_ = 0;  // of the block
  int64_t allocated_ = 0;
  int64_t peak_ = 0;
};

// Zero-initialized memory of the device, of fixed size, 64-byte aligned: parameters, gradients,
// caches.
class Memory {
 public:
  explicit Memory(int64_t bytes, const kernels::Table& table = kernels::Cpu());
  const kernels::Table& table() const { return *data_.get_deleter().table; }
  void* data() const { return data_.get(); }
  int64_t bytes() const { return bytes_; }

 private:
  DevicePtr data_;
  int64_t bytes_;
};

}  // namespace hone
