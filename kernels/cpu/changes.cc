// Changed weights: found by their marks, listed, put in place elsewhere.

#include <algorithm>
#include <bit>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu {
namespace {

// f(segment, first element, past the last one) on the stream's threads.
template <typename F>
void ForSegments(int64_t n, Stream stream, const F& f) {
  ParallelFor(stream, (n + kSegment - 1) / kSegment, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) f(s, s * kSegment, std::min(n, (s + 1) * kSegment));
  });
}

}  // namespace

Error CountMarked(const CountMarkedArgs& a, Stream stream) {
  ForSegments(a.n, stream, [&](int64_t segment, int64_t begin, int64_t end) {
    uint32_t count = 0;
    for (int64_t w = begin / 32; w * 32 < end; ++w)
      count += static_cast<uint32_t>(std::popcount(a.bits[w]));
    a.counts[segment] = count;
  });
  return nullptr;
}

Error CollectMarked(const CollectMarkedArgs& a, Stream stream) {
  ForSegments(a.n, stream, [&](int64_t segment, int64_t begin, int64_t end) {
    int64_t to = a.starts[segment];
    for (int64_t w = begin / 32; w * 32 < end; ++w)
      for (uint32_t bits = a.bits[w]; bits != 0; bits &= bits - 1) {
        const int64_t i = w * 32 + std::countr_zero(bits);
        a.places[to] = static_cast<uint16_t>(i - begin);
        a.values[to++] = a.x[i];
      }
  });
  return nullptr;
}

Error PlaceMarked(const PlaceMarkedArgs& a, Stream stream) {
  ForSegments(a.n, stream, [&](int64_t segment, int64_t begin, int64_t) {
    for (int64_t i = a.starts[segment]; i < a.starts[segment + 1]; ++i)
      a.x[begin + a.places[i]] = a.values[i];
  });
  return nullptr;
}

}  // namespace hone::kernels::cpu
