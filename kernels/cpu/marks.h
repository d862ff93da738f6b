#pragma once

// bf16 results whose changes are marked (Marks in kernels.h).

#include <cstring>

#include "kernels/cpu/simd.h"

namespace hone::kernels::cpu::HONE_ISA {

// y[i ..] = x for `count` elements, at most 16. Threads may share a word of bits.
template <typename Lanes>
inline void StoreMarked(BF16* y, int64_t i, Vec x, Lanes lanes, int64_t count, const Marks& marks) {
  BF16 before[kLanes];
  const size_t bytes = static_cast<size_t>(count) * sizeof(BF16);
  std::memcpy(before, y + i, bytes);
  Store(y + i, x, lanes);
  if (marks.bits == nullptr || std::memcmp(before, y + i, bytes) == 0) return;
  uint64_t bits = 0;
  for (int64_t e = 0; e < count; ++e) bits |= uint64_t{before[e].bits != y[i + e].bits} << e;
  const int64_t at = marks.first + i;
  bits <<= at % 32;
  for (int half = 0; half < 2; ++half) {
    const auto part = static_cast<uint32_t>(bits >> 32 * half);
    if (part != 0) __atomic_fetch_or(marks.bits + at / 32 + half, part, __ATOMIC_RELAXED);
  }
}

}  // namespace hone::kernels::cpu::HONE_ISA
