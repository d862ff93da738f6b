#pragma once

#include <cstdint>

#include "libs/tensor/arena.h"
#include "libs/tensor/device.h"

namespace hone {

// Which elements of Weights::trained() may differ from those of an earlier version: a bit for each,
// in device memory, set by the kernels that write the weights. Not thread-safe.
class WeightChanges {
 public:
  WeightChanges(int64_t size, const kernels::Table& table)
      : size_(size), bits_((size + 31) / 32 * 4, table) {}

  int64_t size() const { return size_; }
  // For a kernel that writes elements from `first` on.
  kernels::Marks marks(int64_t first) { return {bits(), first}; }
  uint32_t* bits() const { return static_cast<uint32_t*>(bits_.data()); }
  // The version that is meant; -1: there is none yet, every element may differ from anything.
  int64_t since() const { return since_; }
  // The weights are `version` now. Leaves its work on the stream of `on`.
  void Clear(const Device& on, int64_t version) {
    on.Zero(bits_.data(), bits_.bytes());
    since_ = version;
  }

 private:
  int64_t size_;
  Memory bits_;
  int64_t since_ = -1;
};

}  // namespace hone
