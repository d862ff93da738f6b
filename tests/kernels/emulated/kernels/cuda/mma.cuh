#pragma once

// Replaces kernels/cuda/mma.cuh: what its instructions do according to the PTX specification. A
// copy arrives no earlier than its thread waits for it, so that a missing wait shows.

#include <cstring>
#include <vector>

#include "tests/kernels/emulated/cuda_bf16.h"
#include "tests/kernels/emulated/cuda_runtime.h"

namespace hone::kernels::cuda {
namespace emulation {

struct Copy {
  void* to;
  const void* from;
  int size, bytes;
};
// Groups of copies of a thread, the oldest first; the last one is open.
struct Copies {
  std::vector<std::vector<Copy>> groups{1};
};
inline Copies& MyCopies() {
  static std::vector<Copies> all(1024);
  return all[hone_emulation::Rank()];
}

// The values of the warp's lanes, of a type of several words.
template <typename T>
struct Lanes {
  T of[32];
};
template <typename T>
Lanes<T> ExchangeAll(const T& mine, const char* what, const hone_emulation::Place& at) {
  // Pointers into the lanes' stacks; the second meeting keeps the stacks until all have read.
  const uint64_t* all =
      hone_emulation::Exchange(0xffffffff, reinterpret_cast<uint64_t>(&mine), what, at);
  Lanes<T> lanes;
  for (int i = 0; i < 32; ++i) lanes.of[i] = *reinterpret_cast<const T*>(all[i]);
  hone_emulation::Exchange(0xffffffff, 0, what, at);
  return lanes;
}

inline float Half(uint32_t pair, int which) {
  return std::bit_cast<float>(which == 0 ? pair << 16 : pair & 0xffff0000);
}

inline void LoadMatrices(uint32_t (&r)[4], const void* row, bool transposed,
                         const hone_emulation::Place& at) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0)
    hone_emulation::Fail("ldmatrix: a row that is not on 16 bytes", at);
  const Lanes<const void*> rows = ExchangeAll(row, "ldmatrix", at);
  const unsigned lane = hone_emulation::Rank() % 32;
  for (unsigned i = 0; i < 4; ++i) {
    uint16_t pair[2];
    for (unsigned e = 0; e < 2; ++e) {
      const unsigned from = transposed ? 2 * (lane % 4) + e : lane / 4;
      const unsigned place = transposed ? lane / 4 : 2 * (lane % 4) + e;
      std::memcpy(&pair[e], static_cast<const char*>(rows.of[8 * i + from]) + 2 * place, 2);
    }
    r[i] = pair[0] | uint32_t{pair[1]} << 16;
  }
}

inline void CopyAsync(void* shared, const void* global, int size, int bytes,
                      const hone_emulation::Place& at) {
  if (reinterpret_cast<uintptr_t>(shared) % size != 0 ||
      reinterpret_cast<uintptr_t>(global) % size != 0)
    hone_emulation::Fail("cp.async: an address that is no multiple of the size", at);
  if (bytes < 0 || bytes > size) hone_emulation::Fail("cp.async: more bytes than its size", at);
  MyCopies().groups.back().push_back({shared, global, size, bytes});
}
}  // namespace emulation
inline void CopyAsync16(void* shared, const void* global, int bytes,
                        const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  emulation::CopyAsync(shared, global, 16, bytes, at);
}
inline void CopyAsync4(void* shared, const void* global, int bytes,
                       const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  emulation::CopyAsync(shared, global, 4, bytes, at);
}
inline void CommitCopies() {
  emulation::MyCopies().groups.emplace_back();
}
template <int kPending>
void WaitCopies() {
  auto& groups = emulation::MyCopies().groups;
  while (groups.size() > kPending + 1) {
    for (const emulation::Copy& c : groups.front()) {
      std::memset(c.to, 0, static_cast<size_t>(c.size));
      std::memcpy(c.to, c.from, static_cast<size_t>(c.bytes));
    }
    groups.erase(groups.begin());
  }
}

inline void LoadMatrices(uint32_t (&r)[4], const void* row,
                         const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  emulation::LoadMatrices(r, row, false, at);
}
inline void LoadMatricesTransposed(
    uint32_t (&r)[4], const void* row,
    const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  emulation::LoadMatrices(r, row, true, at);
}

// How a tensor core adds within an instruction is not specified: here exactly, then rounded once.
inline void MultiplyAdd(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                        const hone_emulation::Place& at = hone_emulation::Place::Here()) {
  struct Fragments {
    uint32_t a[4], b[2];
  };
  const emulation::Lanes<Fragments> lanes =
      emulation::ExchangeAll(Fragments{{a[0], a[1], a[2], a[3]}, {b0, b1}}, "mma.sync", at);
  const unsigned lane = hone_emulation::Rank() % 32, g = lane / 4, t = lane % 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned column = 2 * t + i % 2;
    double sum = c[i];
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned pair = k % 8 / 2;  // of the lane that holds this k, of the row or the column
      sum +=
          static_cast<double>(emulation::Half(lanes.of[4 * g + pair].a[i / 2 + k / 8 * 2], k % 2)) *
          emulation::Half(lanes.of[4 * column + pair].b[k / 8], k % 2);
    }
    c[i] = static_cast<float>(sum);
  }
}

}  // namespace hone::kernels::cuda
