#pragma once

// What log-probabilities and sampling share: the statistics of a row of logits in one pass, by the
// same operations whoever asks, so that both report the same bits.

#include "kernels/cuda/pack.cuh"

namespace hone::kernels::cuda {

// Threads for a row: by its length alone, since they decide the order of sums.
inline int HeadThreads(int64_t v) {
  const int64_t threads = (v / 8 + 31) / 32 * 32;
  return static_cast<int>(threads < 32 ? 32 : threads > 512 ? 512 : threads);
}

struct RowStats {
  float max;    // of z = logits * inv_temperature; the lowest f32 if there is none
  float total;  // sum of exp(z - max)
  float lse;
  float entropy;
};

// exp(a - b) for b >= a, also when their difference overflows.
__device__ inline float Shrink(float a, float b) {
  return expf(fmaxf(a - b, -1000.0f));
}

// A thread keeps its own running maximum. See.Four(id, logits, z, e) is called for ids id .. id + 3
// with e = exp(z - that maximum), See.Rescale(factor) before it when the maximum has risen; ids
// from v on have z = -infinity and e = 0.
template <typename See>
__device__ inline RowStats StatsOf(const float* logits, float inv_temperature, int64_t v,
                                   See& see) {
  float max = -3.4e38f, sum = 0.0f, dot = 0.0f;
  const int64_t step = 4 * blockDim.x;
  Pack<4> x = Load<4>(logits + 4 * threadIdx.x, v - 4 * threadIdx.x);
  for (int64_t id = 4 * threadIdx.x; id < v; id += step) {
    const Pack<4> next = Load<4>(logits + id + step, v - id - step);  // on its way meanwhile
    Pack<4> z, e;
#pragma unroll
    for (int i = 0; i < 4; ++i) z.v[i] = id + i < v ? x.v[i] * inv_temperature : -Infinity();
    const float top = fmaxf(fmaxf(z.v[0], z.v[1]), fmaxf(z.v[2], z.v[3]));
    if (top > max) {
      const float shift = fmaxf(max - top, -1000.0f), factor = expf(shift);
      dot = factor * fmaf(sum, shift, dot);
      sum = sum * factor;
      max = top;
      see.Rescale(factor);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float y = z.v[i] - max;
      e.v[i] = expf(y);
      sum += e.v[i];
      // A forbidden id has y = -inf and e = 0: 0 times a large number, not 0 times infinity.
      dot = fmaf(e.v[i], fmaxf(y, -100.0f), dot);
    }
    see.Four(id, x, z, e);
    x = next;
  }
  const float all = BlockReduce(max, -3.4e38f, Larger());
  const float shift = fmaxf(max - all, -1000.0f), factor = expf(shift);
  see.Rescale(factor);
  const float total = BlockReduce(factor * sum);
  const float mean = BlockReduce(factor * fmaf(sum, shift, dot)) / total;
  const float log = logf(total);
  return {all, total, all + log, log - mean};
}

struct SeeNothing {
  __device__ void Rescale(float) {}
  __device__ void Four(int64_t, const Pack<4>&, const Pack<4>&, const Pack<4>&) {}
};

__device__ inline float LogprobOf(const float* logits, float inv_temperature, int64_t id,
                                  float lse) {
  return logits[id] * inv_temperature - lse;
}

}  // namespace hone::kernels::cuda
