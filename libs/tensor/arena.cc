#include "libs/tensor/arena.h"

#include <algorithm>

#include "libs/base/check.h"

namespace hone {
namespace {
constexpr int64_t kMinBlock = 1 << 20;

DevicePtr Allocated(const kernels::Table& table, int64_t bytes) {
  void* p = nullptr;
  const kernels::Error error = table.allocate(bytes, &p);
  HONE_CHECK(error == nullptr) << table.name << ": " << bytes << " bytes: " << error;
  return {p, ReleaseMemory{&table}};
}
}  // namespace

void* Arena::Allocate(int64_t bytes) {
  HONE_CHECK(bytes >= 0) << bytes;
  bytes = RoundUp(bytes);
  while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].bytes) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    // Few blocks whatever the first micro-batch was, and on a device all that is held is taken from
    // somebody: no more than a quarter for nothing.
    const int64_t size = std::max({bytes, kMinBlock, RoundUp(capacity() / 4)});
    blocks_.push_back({Allocated(*table_, size), size});
  }
  void* p = static_cast<char*>(blocks_[block_].data.get()) + used_;
  used_ += bytes;
  allocated_ += bytes;
  peak_ = std::max(peak_, allocated_);
  return p;
}

void Arena::Reserve(int64_t bytes) {
  HONE_CHECK(allocated_ == 0) << allocated_;
  bytes = RoundUp(std::max(bytes, peak_));
  if (blocks_.size() == 1 && blocks_[0].bytes >= bytes) return;
  blocks_.clear();  // first: there may be no room for both
  blocks_.push_back({Allocated(*table_, bytes), bytes});
}

int64_t Arena::capacity() const {
  int64_t total = 0;
  for (const Block& b : blocks_) total += b.bytes;
  return total;
}

Memory::Memory(int64_t bytes, const kernels::Table& table)
    : data_(Allocated(table, bytes)), bytes_(bytes) {
  for (const kernels::Error error :
       {table.zero({.to = data(), .bytes = bytes}, nullptr), table.synchronize(nullptr)})
    HONE_CHECK(error == nullptr) << table.name << ": " << error;
}

}  // namespace hone
