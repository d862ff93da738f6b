#include "libs/tensor/arena.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "libs/base/check.h"

namespace hone {
namespace {
constexpr int64_t kAlign = 64;
constexpr int64_t kMinBlock = 1 << 20;

int64_t RoundUp(int64_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

void* AlignedAlloc(int64_t bytes) {
  void* p = std::aligned_alloc(kAlign, std::max(RoundUp(bytes), kAlign));
  HONE_CHECK(p != nullptr) << "out of memory: " << bytes << " bytes";
  return p;
}
}  // namespace

void Arena::Free::operator()(void* p) const {
  std::free(p);
}

void* Arena::Allocate(int64_t bytes) {
  HONE_CHECK(bytes >= 0) << bytes;
  bytes = RoundUp(bytes);
  while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].bytes) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    // Doubling keeps the number of blocks small whatever the first micro-batch was.
    const int64_t size = std::max({bytes, kMinBlock, capacity()});
    blocks_.push_back({std::unique_ptr<void, Free>(AlignedAlloc(size)), size});
  }
  void* p = static_cast<char*>(blocks_[block_].data.get()) + used_;
  used_ += bytes;
  allocated_ += bytes;
  peak_ = std::max(peak_, allocated_);
  return p;
}

int64_t Arena::capacity() const {
  int64_t total = 0;
  for (const Block& b : blocks_) total += b.bytes;
  return total;
}

void Memory::Free::operator()(void* p) const {
  std::free(p);
}

Memory::Memory(int64_t bytes) : data_(AlignedAlloc(bytes)), bytes_(bytes) {
  std::memset(data_.get(), 0, static_cast<size_t>(bytes));
}

}  // namespace hone
