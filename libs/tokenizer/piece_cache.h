#pragma once

// Remembers the ids of recent short pieces: words repeat, merging them again is most of the cost of
// encoding. Bounded; thread-safe.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "libs/base/mutex.h"

namespace hone {

class PieceCache {
 public:
  static constexpr size_t kMaxPieceBytes = 255;

  // Appends the ids of `piece` and returns true when it is known.
  bool Find(absl::string_view piece, std::vector<int32_t>* ids) const {
    const Shard& shard = ShardOf(piece);
    MutexLock lock(shard.mutex);
    const auto it = shard.ids.find(piece);
    if (it == shard.ids.end()) return false;
    ids->insert(ids->end(), it->second.begin(), it->second.end());
    return true;
  }

  void Insert(absl::string_view piece, const int32_t* ids, size_t n) {
    if (piece.size() > kMaxPieceBytes) return;
    Shard& shard = const_cast<Shard&>(ShardOf(piece));
    MutexLock lock(shard.mutex);
    // Starting anew is cheaper than keeping an order of use: frequent words are back at once.
    if (shard.ids.size() >= kShardPieces) shard.ids.clear();
    shard.ids.try_emplace(std::string(piece), ids, ids + n);
  }

 private:
  static constexpr size_t kShards = 16;
  static constexpr size_t kShardPieces = 2048;

  struct Shard {
    mutable Mutex mutex;
    absl::flat_hash_map<std::string, std::vector<int32_t>> ids ABSL_GUARDED_BY(mutex);
  };
  const Shard& ShardOf(absl::string_view piece) const {
    // Not the low bits, which the maps use.
    return shards_[absl::Hash<absl::string_view>()(piece) >> 60];
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace hone
