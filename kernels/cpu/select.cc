#include "kernels/cpu/select.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace hone::kernels::cpu {
namespace {

// Larger is better: bits of p, then the lower id.
uint64_t KeyOf(float p, int64_t id) {
  uint32_t bits;
  std::memcpy(&bits, &p, 4);
  return uint64_t{bits} << 32 | (0xffffffffu - static_cast<uint32_t>(id));
}
int32_t IdOf(uint64_t key) {
  return static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(key));
}

}  // namespace

int64_t SelectIds(const float* p, int64_t v, int32_t top_k, float top_p, void* memory, int32_t* ids,
                  float* kept_mass) {
  uint64_t* keys = static_cast<uint64_t*>(memory);
  double total = 0;
  for (int64_t i = 0; i < v; ++i) {
    keys[i] = KeyOf(p[i], i);
    total += double{p[i]};
  }
  int64_t count = v;
  double mass = total;
  if (top_k > 0 && top_k < v) {
    count = top_k;
    std::nth_element(keys, keys + count, keys + v, std::greater<>());
    // In a fixed order: by id.
    std::sort(keys, keys + count, [](uint64_t a, uint64_t b) {
      return static_cast<uint32_t>(a) > static_cast<uint32_t>(b);
    });
    mass = 0;
    for (int64_t i = 0; i < count; ++i) mass += double{p[IdOf(keys[i])]};
  }
  int64_t kept = 0;
  double sum = 0;
  if (top_p < 1) {
    // Usually few ids reach top_p: a heap yields them without sorting the row.
    std::make_heap(keys, keys + count);
    const double enough = double{top_p} * mass;
    while (kept < count && (kept == 0 || sum < enough)) {
      std::pop_heap(keys, keys + (count - kept));
      const int32_t id = IdOf(keys[count - 1 - kept]);
      sum += double{p[id]};
      ids[kept++] = id;
    }
  } else {
    for (; kept < count; ++kept) ids[kept] = IdOf(keys[kept]);
    sum = mass;
  }
  *kept_mass = total > 0 ? static_cast<float>(std::min(sum / total, 1.0)) : 1.0f;
  return kept;
}

}  // namespace hone::kernels::cpu
