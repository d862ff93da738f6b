// Mixture of experts: routing, the sort by expert, and the weighted way back. A warp has a token's
// experts; a sum over experts goes over lanes by expert and ends in one tree.

#include "kernels/cuda/pack.cuh"

namespace hone::kernels::cuda {
namespace {

// --- routing
// ------------------------------------------------------------------------------------------------

// Takes the largest of values[0, n), the lowest index of equals, and rules it out. What is not a
// number, or ruled out already, comes last, by rising index: taken[0, count) are out. All lanes of
// a warp call and get the index.
__device__ inline int TakeLargest(float* values, int n, const int* taken, int count) {
  const int lane = threadIdx.x % 32;
  float top = -Infinity();
  int best = n;
  for (int i = lane; i < n; i += 32)
    if (values[i] > top) {
      top = values[i];
      best = i;
    }
#pragma unroll
  for (int d = 16; d > 0; d /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, top, d);
    const int id = __shfl_xor_sync(0xffffffffu, best, d);
    if (other > top || (other == top && id < best)) {
      top = other;
      best = id;
    }
  }
  if (best >= n) {  // the same in all lanes
    for (int i = lane; i < n; i += 32) {
      bool free = true;
      for (int j = 0; j < count; ++j) free = free && taken[j] != i;
      if (free) {
        best = i;
        break;
      }
    }
    best = __reduce_min_sync(0xffffffffu, best);
  }
  __syncwarp();
  if (lane == 0) values[best] = -Infinity();
  __syncwarp();
  return best;
}

// Rules out the experts of all but the best groups. group[groups] and kept[top_groups] are the
// warp's memory.
__device__ inline void LimitGroups(const RouteArgs& a, float* choice, float* group, int* kept) {
  const int lane = threadIdx.x % 32, groups = static_cast<int>(a.groups),
            size = static_cast<int>(a.e / a.groups);
  for (int g = lane; g < groups; g += 32) {
    float first = -Infinity(), second = -Infinity();
    for (int i = g * size; i < (g + 1) * size; ++i) {
      if (choice[i] > first) {
        second = first;
        first = choice[i];
      } else if (choice[i] > second) {
        second = choice[i];
      }
    }
    group[g] = a.group_score == GroupScore::kMax || size == 1 ? first : first + second;
  }
  __syncwarp();
  for (int i = 0; i < a.top_groups; ++i) {
    const int g = TakeLargest(group, groups, kept, i);
    if (lane == 0) kept[i] = g;
    __syncwarp();
  }
  for (int i = lane; i < a.e; i += 32) {
    bool keep = false;
    for (int j = 0; j < a.top_groups; ++j) keep = keep || kept[j] == i / size;
    if (!keep) choice[i] = -Infinity();
  }
  __syncwarp();
}

// Words of shared memory per token: choice, groups, kept groups, taken experts.
inline int64_t RouteWords(const RouteArgs& a) {
  return a.e + a.groups + a.top_groups + a.k;
}

__global__ void RouteKernel(RouteArgs a, int64_t words) {
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32, e = static_cast<int>(a.e),
            k = static_cast<int>(a.k);
  float* choice = DynamicShared<float>() + threadIdx.x / 32 * words;
  float* group = choice + a.e;
  int* kept = reinterpret_cast<int*>(group + a.groups);
  int* taken = kept + a.top_groups;
  for (int64_t n = int64_t{blockIdx.x} * warps + threadIdx.x / 32; n < a.n;
       n += int64_t{gridDim.x} * warps) {
    const float* logits = a.logits + n * a.e;
    float* scores = a.scores + n * a.e;
    float top = -Infinity(), sum = 0.0f;
    if (a.scoring == Scoring::kSoftmax) {
      for (int i = lane; i < e; i += 32) top = fmaxf(top, logits[i]);
      top = LaneReduce(top, Larger());
      for (int i = lane; i < e; i += 32) sum += expf(logits[i] - top);
      sum = LaneReduce(sum);
    }
    for (int i = lane; i < e; i += 32) {
      const float s = a.scoring == Scoring::kSoftmax ? expf(logits[i] - top) / sum
                                                     : 1.0f / (1.0f + expf(-logits[i]));
      scores[i] = s;
      choice[i] = a.bias == nullptr ? s : s + a.bias[i];
    }
    __syncwarp();
    if (a.groups > 1) LimitGroups(a, choice, group, kept);
    for (int i = 0; i < k; ++i) {
      const int best = TakeLargest(choice, e, taken, i);
      if (lane == 0) taken[i] = best;
      __syncwarp();
    }
    float total = 0.0f;
    for (int i = 0; i < k; ++i) total += scores[taken[i]];
    // Sigmoids of very low logits may all be 0.
    const float factor = a.normalize ? a.scale / (total + 1e-20f) : a.scale;
    for (int i = lane; i < k; i += 32) {
      a.experts[n * k + i] = taken[i];
      a.weights[n * k + i] = scores[taken[i]] * factor;
    }
    __syncwarp();
  }
}

constexpr int kRouteThreads = 128;

__global__ void __launch_bounds__(kRouteThreads) RouteBackwardKernel(RouteBackwardArgs b) {
  const RouteArgs& a = b.forward;
  const int lane = threadIdx.x % 32, warps = kRouteThreads / 32, e = static_cast<int>(a.e),
            k = static_cast<int>(a.k);
  for (int64_t n = int64_t{blockIdx.x} * warps + threadIdx.x / 32; n < a.n;
       n += int64_t{gridDim.x} * warps) {
    const float* s = a.scores + n * a.e;
    const int32_t* experts = a.experts + n * a.k;
    const float* dw = b.dweights + n * a.k;
    float* d = b.dlogits + n * a.e;  // first the gradient of the scores
    const float* f = b.balance == nullptr ? nullptr : b.balance + b.sequence_of[n] * a.e;
    float sum = 0.0f, dot = 0.0f;
    if (f != nullptr) {
      for (int i = lane; i < e; i += 32) {
        sum += s[i];
        dot = fmaf(f[i], s[i], dot);
      }
      sum = LaneReduce(sum);
      dot = LaneReduce(dot);
    }
    for (int i = lane; i < e; i += 32) d[i] = f == nullptr ? 0.0f : (f[i] - dot / sum) / sum;
    __syncwarp();
    float chosen = 0.0f, weighted = 0.0f;
    for (int i = 0; i < k && a.normalize; ++i) {
      chosen += s[experts[i]];
      weighted = fmaf(dw[i], s[experts[i]], weighted);
    }
    chosen += 1e-20f;
    for (int i = lane; i < k; i += 32)
      d[experts[i]] +=
          a.normalize ? a.scale / chosen * (dw[i] - weighted / chosen) : a.scale * dw[i];
    __syncwarp();
    if (a.scoring == Scoring::kSigmoid) {
      for (int i = lane; i < e; i += 32) d[i] *= s[i] * (1 - s[i]);
    } else {
      float inner = 0.0f;
      for (int i = lane; i < e; i += 32) inner = fmaf(d[i], s[i], inner);
      inner = LaneReduce(inner);
      for (int i = lane; i < e; i += 32) d[i] = s[i] * (d[i] - inner);
    }
    __syncwarp();
  }
}

// --- the sort by expert
// ---------------------------------------------------------------------------------------

constexpr int kSortThreads = 1024;

// Block e counts the choices of lower experts, which is where its rows begin, then puts its own in
// their order: no memory between blocks, no atomics. The ids come from L2 twice per expert.
__global__ void __launch_bounds__(kSortThreads) PermuteKernel(PermuteArgs a) {
  const int64_t choices = a.n * a.k;
  for (int64_t e = blockIdx.x; e < a.e; e += gridDim.x) {
    int below = 0;
    for (int64_t i = threadIdx.x; i < choices; i += kSortThreads) {
      const int32_t id = a.experts[i];
      if (id < 0 || id >= a.e) __trap();  // a row of nobody: the caller is broken
      below += id < e;
    }
    const int start = BlockReduce(below);
    if (threadIdx.x == 0) {
      a.offsets[e] = start;
      if (e == a.e - 1) a.offsets[a.e] = static_cast<int32_t>(choices);
    }
    int next = start;
    for (int64_t begin = 0; begin < choices; begin += 4 * kSortThreads) {
      const int64_t own = begin + 4 * threadIdx.x;
      unsigned matches = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j)
        matches |= static_cast<unsigned>(own + j < choices && a.experts[own + j] == e) << j;
      if (__syncthreads_or(static_cast<int>(matches)) == 0) continue;
      int count;
      int row = next + BlockScan(__popc(matches), &count);
      for (int j = 0; j < 4; ++j)
        if ((matches >> j & 1) != 0) {
          a.row_of[own + j] = row;
          a.token_of[row++] = static_cast<int32_t>((own + j) / a.k);
        }
      next += count;
    }
  }
}

// --- the way back
// -----------------------------------------------------------------------------------------------

template <typename T>
__global__ void CombineKernel(CombineArgs a, int64_t packs) {
  constexpr int kSize = kPack<T>;
  ForPacks(a.n, packs, [&](int64_t n, int64_t pack) {
    const int64_t at = pack * kSize;
    const int32_t* rows = a.row_of + n * a.k;
    Pack<kSize> sum = {};
    if (a.add != nullptr) sum = Load<kSize>(static_cast<const T*>(a.add) + n * a.c + at, a.c - at);
#pragma unroll 4
    for (int64_t k = 0; k < a.k; ++k) {
      const float w = a.weights == nullptr ? 1.0f : a.weights[n * a.k + k];
      const Pack<kSize> y = Load<kSize>(static_cast<const T*>(a.y) + rows[k] * a.c + at, a.c - at);
#pragma unroll
      for (int i = 0; i < kSize; ++i) sum.v[i] = fmaf(w, y.v[i], sum.v[i]);
    }
    Store(static_cast<T*>(a.out) + n * a.c + at, sum, a.c - at);
  });
}

constexpr int kBackThreads = 256;

// A warp per choice.
template <typename T>
__global__ void __launch_bounds__(kBackThreads) CombineBackwardKernel(CombineBackwardArgs a) {
  constexpr int kSize = kPack<T>;
  constexpr int kWarps = kBackThreads / 32;
  const int lane = threadIdx.x % 32;
  for (int64_t i = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; i < a.n * a.k;
       i += int64_t{gridDim.x} * kWarps) {
    const T* dout = static_cast<const T*>(a.dout) + i / a.k * a.c;
    const int64_t row = a.row_of[i];
    const float w = a.weights == nullptr ? 1.0f : a.weights[i];
    float dot = 0.0f;
    for (int64_t at = lane * kSize; at < a.c; at += 32 * kSize) {
      Pack<kSize> d = Load<kSize>(dout + at, a.c - at);
      const Pack<kSize> y = Load<kSize>(static_cast<const T*>(a.y) + row * a.c + at, a.c - at);
#pragma unroll
      for (int j = 0; j < kSize; ++j) {
        dot = fmaf(d.v[j], y.v[j], dot);
        d.v[j] = w * d.v[j];
      }
      Store(static_cast<T*>(a.dy) + row * a.c + at, d, a.c - at);
    }
    dot = LaneReduce(dot);
    if (a.dweights != nullptr && lane == 0) a.dweights[i] = dot;
  }
}

}  // namespace

Error Route(const RouteArgs& a, Stream stream) {
  if (a.k > a.e) return "route: more experts per token than experts";
  if (a.groups > 1 &&
      (a.e % a.groups != 0 || a.top_groups > a.groups || a.top_groups * (a.e / a.groups) < a.k))
    return "route: groups do not divide the experts, or the best groups hold too few";
  if (a.n == 0) return nullptr;
  const int64_t words = RouteWords(a);
  const int warps = words <= 2048 ? 4 : 1;
  if (words * 4 * warps > 160 << 10) return "route: more experts than shared memory has room for";
  return Launch("route", RouteKernel, Blocks(a.n, warps), warps * 32, words * 4 * warps, stream, a,
                words);
}

Error RouteBackward(const RouteBackwardArgs& b, Stream stream) {
  if (b.forward.n == 0) return nullptr;
  return Launch("route_backward", RouteBackwardKernel, Blocks(b.forward.n, kRouteThreads / 32),
                kRouteThreads, 0, stream, b);
}

Error Permute(const PermuteArgs& a, Stream stream) {
  if (a.n * a.k > 0x7fffffff) return "permute: more rows than an int32 counts";
  if (a.e == 0) return nullptr;
  return Launch("permute", PermuteKernel, Blocks(a.e, 1), kSortThreads, 0, stream, a);
}

Error Combine(const CombineArgs& a, Stream stream) {
  if (a.n == 0 || a.c == 0) return nullptr;
  return WithType(a.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t packs = PacksOf(a.c, kPack<T>);
    return Launch("combine", CombineKernel<T>, RowGrid(a.n, packs), RowBlock(packs), 0, stream, a,
                  packs);
  });
}

Error CombineBackward(const CombineBackwardArgs& a, Stream stream) {
  if (a.n == 0 || a.k == 0) return nullptr;
  return WithType(a.dtype, [&](auto t) {
    return Launch("combine_backward", CombineBackwardKernel<decltype(t)>,
                  Blocks(a.n * a.k, kBackThreads / 32), kBackThreads, 0, stream, a);
  });
}

}  // namespace hone::kernels::cuda
