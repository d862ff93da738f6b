#pragma once

// Sparse deltas list elements by segments (weights.proto, kernels::kSegment).

#include <cstdint>
#include <vector>

#include "kernels/kernels.h"

namespace hone {

inline int64_t SegmentsOf(int64_t elements) {
  return (elements + kernels::kSegment - 1) / kernels::kSegment;
}
// How many are listed before each segment, and in all.
inline std::vector<int64_t> SegmentStarts(const std::vector<uint32_t>& counts) {
  std::vector<int64_t> starts(counts.size() + 1, 0);
  for (size_t s = 0; s < counts.size(); ++s) starts[s + 1] = starts[s] + counts[s];
  return starts;
}

}  // namespace hone
