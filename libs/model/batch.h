#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "libs/tensor/device.h"

namespace hone {

// Tokens of several sequences, packed without padding. Sequence s owns the query rows [q_start[s],
// q_start[s+1]); its logical keys are the rows kv_rows[kv_start[s] ..) of the key/value storage, in
// order of position, the sequence's own rows last. The storage is the batch's own rows (training:
// row = token) or a paged cache (engine), and keys may be shared: completions of a group attend to
// their one prompt.
struct Batch {
  std::vector<int32_t> ids;        // [N]
  std::vector<int32_t> positions;  // [N]
  std::vector<int32_t> q_start;    // [S + 1]
  std::vector<int32_t> kv_start;   // [S + 1]
  std::vector<int32_t> kv_rows;    // [kv_start[S]]
  // Sequences [cluster_start[i], cluster_start[i+1]) may share key rows. Training only.
  std::vector<int32_t> cluster_start;
  // Cache row of every token. Engine only; empty in training.
  std::vector<int32_t> cache_rows;

  // Arrays as kernels read them.
  struct OnDevice {
    const int32_t *ids, *positions, *q_start, *kv_start, *kv_rows, *cluster_start, *cache_rows;
  };
  // In `arena` where the device cannot read this, else a view: the batch must outlive the pass.
  OnDevice Upload(const Device& on, Arena& arena) const {
    const auto [i, p, q, k, r, c, w] =
        on.Upload(arena, ids, positions, q_start, kv_start, kv_rows, cluster_start, cache_rows);
    return {i, p, q, k, r, c, w};
  }

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t sequences() const { return static_cast<int64_t>(q_start.size()) - 1; }
  // No sequence has more queries, or more keys. Powers of two: passes that are recorded for one
  // bound are few.
  int64_t MaxQLen() const { return Bound(q_start); }
  int64_t MaxKvLen() const { return Bound(kv_start); }

 private:
  static int64_t Bound(const std::vector<int32_t>& start) {
    int32_t longest = 0;
    for (size_t s = 1; s < start.size(); ++s) longest = std::max(longest, start[s] - start[s - 1]);
    return static_cast<int64_t>(std::bit_ceil(static_cast<uint32_t>(longest)));
  }
};

}  // namespace hone
