// What the optimiser does to flat arrays, and their digests. Memory-bound: AdamW moves 28 bytes per
// parameter, 32 with bf16 weights.

#include <algorithm>
#include <cstring>

#include "kernels/cpu/kernels_isa.h"
#include "kernels/cpu/marks.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/team.h"
#include "kernels/mix.h"

namespace hone::kernels::cpu::HONE_ISA {

Error AdamW(const AdamWArgs& a, Stream stream) {
  const Vec b1 = Set(a.beta1), b2 = Set(a.beta2), c1 = Set(1 - a.beta1), c2 = Set(1 - a.beta2);
  const Vec eps = Set(a.eps), decay = Set(a.weight_decay), minus_lr = Set(-a.lr);
  const Vec k1 = Set(a.correction1), k2 = Set(a.correction2), scale = Set(a.grad_scale);
  ParallelFor(stream, a.n, 16384, [&](int64_t begin, int64_t end) {
    ForLanes(end - begin, [&](int64_t j, auto lanes) {
      const int64_t i = begin + j;
      const Vec g = Load(a.grad + i, lanes) * scale, w = Load(a.master + i, lanes);
      const Vec m = Fma(b1, Load(a.m + i, lanes), c1 * g);
      const Vec v = Fma(b2, Load(a.v + i, lanes), c2 * g * g);
      const Vec step = Fma(decay, w, (m / k1) / (Sqrt(v / k2) + eps));
      Store(a.m + i, m, lanes);
      Store(a.v + i, v, lanes);
      const Vec updated = Fma(minus_lr, step, w);
      Store(a.master + i, updated, lanes);
      if (a.rounded == nullptr) return;
      StoreMarked(static_cast<BF16*>(a.rounded), i, updated, lanes,
                  std::min<int64_t>(kLanes, end - i), a.marks);
    });
  });
  return nullptr;
}

Error Axpby(const AxpbyArgs& a, Stream stream) {
  const Vec va = Set(a.a), vb = Set(a.b);
  ParallelFor(stream, a.n, 32768, [&](int64_t begin, int64_t end) {
    ForLanes(end - begin, [&](int64_t j, auto lanes) {
      const int64_t i = begin + j;
      Store(a.y + i, Fma(va, Load(a.x + i, lanes), vb * Load(a.y + i, lanes)), lanes);
    });
  });
  return nullptr;
}

Error SumSquares(const SumSquaresArgs& a, Stream stream) {
  constexpr int64_t kBlock = 4096;
  const int64_t blocks = (a.n + kBlock - 1) / kBlock;
  // Waves of blocks, so that the partial sums need little memory.
  constexpr int64_t kWave = 1024;
  double sums[kWave];
  double total = 0;
  for (int64_t first = 0; first < blocks; first += kWave) {
    const int64_t count = blocks - first < kWave ? blocks - first : kWave;
    ParallelFor(stream, count, 8, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const float* x = a.x + (first + b) * kBlock;
        const int64_t n = a.n - (first + b) * kBlock < kBlock ? a.n - (first + b) * kBlock : kBlock;
        double lane[16] = {};
        int64_t i = 0;
        for (; i + 16 <= n; i += 16)
          for (int j = 0; j < 16; ++j) lane[j] += double{x[i + j]} * x[i + j];
        for (; i < n; ++i) lane[i % 16] += double{x[i]} * x[i];
        for (int width = 8; width > 0; width /= 2)
          for (int j = 0; j < width; ++j) lane[j] += lane[j + width];
        sums[b] = lane[0];
      }
    });
    for (int64_t b = 0; b < count; ++b) total += sums[b];
  }
  *a.out += total;
  return nullptr;
}

Error Digest(const DigestArgs& a, Stream stream) {
  const auto* const words = static_cast<const uint64_t*>(a.x);
  const int64_t whole = a.bytes / 8;
  uint64_t total = 0;
  ParallelFor(stream, whole, 32768, [&](int64_t begin, int64_t end) {
    uint64_t sum = 0;
    for (int64_t j = begin; j < end; ++j) sum += Mix(static_cast<uint64_t>(j), words[j]);
    __atomic_fetch_add(&total, sum, __ATOMIC_RELAXED);
  });
  if (a.bytes % 8 != 0) {
    uint64_t word = 0;
    std::memcpy(&word, words + whole, static_cast<size_t>(a.bytes % 8));
    total += Mix(static_cast<uint64_t>(whole), word);
  }
  *a.out += total;
  return nullptr;
}

}  // namespace hone::kernels::cpu::HONE_ISA
