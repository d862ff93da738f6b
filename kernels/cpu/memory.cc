// Device memory of the CPU backend is plain memory.

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu {
namespace {
// Bytes that are worth waking somebody for.
constexpr int64_t kGrain = int64_t{1} << 20;
}  // namespace

Error Allocate(int64_t bytes, void** out) {
  constexpr int64_t kAlign = 64;
  const int64_t size = std::max<int64_t>((bytes + kAlign - 1) / kAlign, 1) * kAlign;
  *out = std::aligned_alloc(kAlign, static_cast<size_t>(size));
  return *out == nullptr ? "out of memory" : nullptr;
}

void Release(void* p) {
  std::free(p);
}

Error Transfer(const TransferArgs& a, Stream) {
  if (a.bytes > 0) std::memcpy(a.to, a.from, static_cast<size_t>(a.bytes));
  return nullptr;
}

Error Copy(const CopyArgs& a, Stream stream) {
  const char* from = static_cast<const char*>(a.from);
  char* to = static_cast<char*>(a.to);
  if (a.rows == 1) {
    ParallelFor(stream, a.row_bytes, kGrain, [&](int64_t begin, int64_t end) {
      std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
    });
  } else {
    ParallelFor(stream, a.rows, RowGrain(a.row_bytes / 4), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        std::memcpy(to + r * a.to_stride, from + r * a.from_stride,
                    static_cast<size_t>(a.row_bytes));
    });
  }
  return nullptr;
}

Error Zero(const ZeroArgs& a, Stream stream) {
  ParallelFor(stream, a.bytes, kGrain, [&](int64_t begin, int64_t end) {
    std::memset(static_cast<char*>(a.to) + begin, 0, static_cast<size_t>(end - begin));
  });
  return nullptr;
}

Error Synchronize(Stream) {
  return nullptr;
}

}  // namespace hone::kernels::cpu
