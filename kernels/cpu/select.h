#pragma once

// Which ids top_k and top_p keep. Compiled once (see simd.h), since it sorts.

#include <cstddef>
#include <cstdint>

namespace hone::kernels::cpu {

// Bytes of memory that SelectIds needs for a row of `v`.
inline size_t SelectMemory(int64_t v) {
  return static_cast<size_t>(v) * 8;
}

// p[v]: non-negative, any scale. Keeps the top_k largest (0: all), then the fewest of those, by
// falling p, whose sum reaches top_p of their sum (>= 1: all). Ties go to the lowest id. Writes the
// kept ids to ids[v], returns how many (at least 1), and the share of all p that they hold.
int64_t SelectIds(const float* p, int64_t v, int32_t top_k, float top_p, void* memory, int32_t* ids,
                  float* kept_mass);

}  // namespace hone::kernels::cpu
