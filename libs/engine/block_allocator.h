#pragma once

#include <cstdint>
#include <vector>

#include "libs/base/check.h"

namespace hone {

// Hands out blocks of kBlockTokens rows of the key/value cache. It manages numbers only, not
// memory. Not thread-safe.
class BlockAllocator {
 public:
  static constexpr int64_t kBlockTokens = 64;

  explicit BlockAllocator(int64_t blocks) : total_(blocks) {
    for (int64_t b = blocks - 1; b >= 0; --b) free_.push_back(static_cast<int32_t>(b));
  }

  int64_t total() const { return total_; }
  int64_t available() const { return static_cast<int64_t>(free_.size()); }
  // Requires available() > 0.
  int32_t Take() {
    HONE_CHECK(!free_.empty());
    const int32_t block = free_.back();
    free_.pop_back();
    return block;
  }
  void Return(std::vector<int32_t>& blocks) {
    free_.insert(free_.end(), blocks.begin(), blocks.end());
    blocks.clear();
    HONE_CHECK(available() <= total_) << "block returned twice";
  }

 private:
  const int64_t total_;
  std::vector<int32_t> free_;
};

// Consecutive tokens in the cache: whole blocks, and the cache row of each token.
class TokenRows {
 public:
  int64_t size() const { return static_cast<int64_t>(rows_.size()); }
  const std::vector<int32_t>& rows() const { return rows_; }
  // Blocks needed to append `tokens` more.
  int64_t BlocksFor(int64_t tokens) const {
    const int64_t room =
        static_cast<int64_t>(blocks_.size()) * BlockAllocator::kBlockTokens - size();
    const int64_t over = tokens - room;
    return over <= 0 ? 0 : (over + BlockAllocator::kBlockTokens - 1) / BlockAllocator::kBlockTokens;
  }
  // Requires that the allocator has BlocksFor(tokens).
  void Append(int64_t tokens, BlockAllocator& allocator) {
    for (int64_t i = 0; i < tokens; ++i) {
      const int64_t in_block = size() % BlockAllocator::kBlockTokens;
      if (in_block == 0) blocks_.push_back(allocator.Take());
      rows_.push_back(blocks_.back() * static_cast<int32_t>(BlockAllocator::kBlockTokens) +
                      static_cast<int32_t>(in_block));
    }
  }
  void Free(BlockAllocator& allocator) {
    allocator.Return(blocks_);
    rows_.clear();
  }

 private:
  std::vector<int32_t> blocks_;
  std::vector<int32_t> rows_;
};

}  // namespace hone
