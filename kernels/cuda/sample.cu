// Sampling. A block has a row. Without filters: one pass over the logits, in which every thread
// keeps the best of its ids while the statistics are summed. With top_k or top_p: a second pass
// keeps the few ids that can matter on the chip, and the exact bound is found among them, digit by
// digit of (p, id), by counts and by masses in integers, whose sums have no order. Should too many
// ids matter (more than kList: a flat distribution), the digits are counted over the logits.

#include "kernels/cuda/head.cuh"
#include "kernels/philox.h"

namespace hone::kernels::cuda {
namespace {

using Word = unsigned long long;

// Falling scores, then rising ids: the largest of these wins. 0: nobody.
__device__ inline Word Rank(float score, int64_t id) {
  return Word{__float_as_uint(score)} << 32 | (0xffffffffu - static_cast<unsigned>(id));
}
__device__ inline int64_t IdOf(Word rank) {
  return 0xffffffffu - static_cast<unsigned>(rank);
}

// --- without filters
// -------------------------------------------------------------------------------------------

// argmax of the logits.
struct SeeLargest {
  float best = -Infinity();
  int64_t id = 0x7fffffff;
  __device__ void Rescale(float) {}
  __device__ void Four(int64_t first, const Pack<4>& x, const Pack<4>& z, const Pack<4>&) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (x.v[i] > best && z.v[i] > -Infinity()) {  // behind the end z is -infinity
        best = x.v[i];
        id = first + i;
      }
  }
};

// argmax of p / e, p relative to the thread's maximum.
struct SeeGumbel {
  Word seed, position;
  float best = 0.0f;
  int64_t id = 0x7fffffff;
  __device__ void Rescale(float factor) { best *= factor; }
  __device__ void Four(int64_t first, const Pack<4>&, const Pack<4>&, const Pack<4>& p) {
    const PhiloxBlock noise =
        Philox(static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32),
               {{static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32),
                 static_cast<uint32_t>(first / 4), 0}});
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float u = UniformOf(noise.word[i]);
      // e = -log u is at least 1 - u: most ids need no logarithm.
      if (p.v[i] < best * (1.0f - u) * 0.9999f) continue;
      const float score = p.v[i] / -logf(u);
      if (score > best) {
        best = score;
        id = first + i;
      }
    }
  }
};

// --- with filters
// ----------------------------------------------------------------------------------------------

constexpr int kBins = 2048, kList = 4096, kThreads = 512;

// Bins of z, 1/8 wide, from -128 to 128.
__device__ inline int BinOf(float z) {
  return static_cast<int>(fminf(fmaxf(fmaf(z, 8.0f, 1024.0f), 0.0f), 2047.0f));
}
__device__ inline float UpperEdge(int bin) {
  return bin == kBins - 1 ? Infinity() : static_cast<float>(bin - 1023) / 8.0f;
}

struct SeeBins {
  unsigned* bins;  // null: not wanted
  __device__ void Rescale(float) {}
  __device__ void Four(int64_t, const Pack<4>&, const Pack<4>& z, const Pack<4>&) {
    if (bins == nullptr) return;
#pragma unroll
    for (int i = 0; i < 4; ++i) atomicAdd(&bins[BinOf(z.v[i])], 1u);
  }
};

// Counts and masses by digit.
struct Digits {
  Word mass[256];
  unsigned count[256];
};

// What a row's filters need on the chip.
struct Filter {
  union {
    unsigned bins[kBins];
    Digits digit;
  };
  float p[kList];
  int id[kList];
  int listed, cut, use_list;
  // What Select found: ids whose key is at least `key`, which together weigh `mass`.
  Word key, mass;
  int done;
};

struct Row {
  const float* logits;
  float inv_temperature, max;
  int64_t v;
  Filter* filter;

  // exp(z - max), in [0, 1] whatever z is.
  __device__ float P(int64_t id) const {
    const float p = expf(logits[id] * inv_temperature - max);
    return p > 0.0f ? fminf(p, 1.0f) : 0.0f;
  }
  // f(p, id) for the ids that can matter.
  template <typename F>
  __device__ void ForIds(const F& f) const {
    if (filter->use_list != 0) {
      for (int i = threadIdx.x; i < filter->listed; i += blockDim.x) f(filter->p[i], filter->id[i]);
    } else {
      for (int64_t id = threadIdx.x; id < v; id += blockDim.x) f(P(id), static_cast<int>(id));
    }
  }
};

// p in units of 2^-40.
__device__ inline Word MassOf(float p) {
  return __float2ull_rn(p * 1099511627776.0f);
}

// Sets filter.key to the lowest key such that the keys from it on, which are at least `floor`, are
// `target` in number (by_mass: weigh at least `target`), or to `floor` if all do not reach it; at
// least one key is kept.
__device__ inline void Select(const Row& row, Word floor, bool by_mass, Word target) {
  Filter& f = *row.filter;
  Word prefix = 0, above = 0;  // the digits so far; the mass of the keys above them
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (int i = threadIdx.x; i < 256; i += blockDim.x) {
      f.digit.mass[i] = 0;
      f.digit.count[i] = 0;
    }
    __syncthreads();
    row.ForIds([&](float p, int id) {
      const Word key = Rank(p, id);
      if (key < floor || (shift < 56 && key >> (shift + 8) != prefix)) return;
      const unsigned digit = static_cast<unsigned>(key >> shift) & 255;
      atomicAdd(&f.digit.count[digit], 1u);
      atomicAdd(&f.digit.mass[digit], MassOf(p));
    });
    __syncthreads();
    if (threadIdx.x < 32) {  // eight digits per lane, from the top
      const int lane = static_cast<int>(threadIdx.x);
      Word mass = 0, count = 0;
      for (int i = 0; i < 8; ++i) {
        mass += f.digit.mass[8 * lane + i];
        count += f.digit.count[8 * lane + i];
      }
      const Word own_mass = mass, own_count = count;
#pragma unroll
      for (int d = 1; d < 32; d *= 2) {
        const Word m = __shfl_down_sync(0xffffffffu, mass, d),
                   c = __shfl_down_sync(0xffffffffu, count, d);
        if (lane + d < 32) {
          mass += m;
          count += c;
        }
      }
      const Word all = __shfl_sync(0xffffffffu, by_mass ? mass : count, 0);
      const Word wanted = target < all ? target : all;
      Word m = mass - own_mass, c = count - own_count;  // of the digits of higher lanes
      int found = -1;
      for (int i = 8 * lane + 7; i >= 8 * lane && found < 0; --i) {
        if (f.digit.count[i] == 0) continue;
        if ((by_mass ? m + f.digit.mass[i] : c + f.digit.count[i]) >= wanted) {
          found = i;
        } else {
          m += f.digit.mass[i];
          c += f.digit.count[i];
        }
      }
      const unsigned who = __ballot_sync(0xffffffffu, found >= 0);
      if (lane == 31 - __clz(static_cast<int>(who))) {
        const Word rest = wanted - (by_mass ? m : c);
        const bool whole = f.digit.count[found] == 1 || (!by_mass && rest == f.digit.count[found]);
        f.key = prefix << 8 | static_cast<unsigned>(found);
        f.mass = above + m + (whole ? f.digit.mass[found] : 0);
        f.done = whole ? 1 : 0;
        f.cut = 0;
        f.digit.mass[0] = rest;  // for all threads; the counts have been read
      }
    }
    __syncthreads();
    prefix = f.key;
    above = f.mass;
    target = f.digit.mass[0];
    const bool done = f.done != 0;
    __syncthreads();
    if (done) {
      prefix <<= shift;
      break;
    }
  }
  if (threadIdx.x == 0) f.key = prefix > floor ? prefix : floor;
  __syncthreads();
}

// The lowest bin whose ids can be kept: one below that from which on `k` ids lie, or below which
// lies too little mass to matter. One below, since rounding makes ids of neighbouring bins equal.
__device__ inline void FindCut(Filter& f, float max, int64_t k, float spare) {
  const int first = static_cast<int>(threadIdx.x) * (kBins / kThreads);
  unsigned count = 0;
  float mass = 0.0f;
  for (int i = first; i < first + kBins / kThreads; ++i) {
    count += f.bins[i];
    mass += static_cast<float>(f.bins[i]) * fminf(expf(UpperEdge(i) - max), 1.0f);
  }
  unsigned all;
  float all_mass;
  unsigned below = BlockScan(count, &all);
  float mass_below = BlockScan(mass, &all_mass);
  int cut = 0;
  for (int i = first; i < first + kBins / kThreads; ++i) {
    if (k > 0 ? all - below >= k : mass_below <= spare) cut = i;
    below += f.bins[i];
    mass_below += static_cast<float>(f.bins[i]) * fminf(expf(UpperEdge(i) - max), 1.0f);
  }
  cut = BlockReduce(cut, 0, Larger()) - 1;
  cut = cut < 0 ? 0 : cut;
  unsigned from_cut = 0;
  for (int i = first; i < first + kBins / kThreads; ++i) from_cut += i >= cut ? f.bins[i] : 0;
  from_cut = BlockReduce(from_cut);
  if (threadIdx.x == 0) {
    f.cut = cut;
    f.use_list = from_cut <= kList;
    f.listed = 0;
  }
  __syncthreads();
}

// Draws among the ids that the filters keep. `binned`: filter.bins has the row's histogram.
__device__ inline Word SampleKept(const SampleArgs& a, int64_t n, const RowStats& stats, Filter& f,
                                  bool binned, float* kept_mass) {
  const Row row{a.logits + n * a.ldl, a.inv_temperature[n], stats.max, a.v, &f};
  const int64_t k = a.top_k[n] > 0 && a.top_k[n] < a.v ? a.top_k[n] : 0;
  const float top_p = a.top_p[n];
  if (binned) {
    FindCut(f, stats.max, k, (1.0f - top_p) * stats.total * 0.999f);
  } else {
    if (threadIdx.x == 0) {
      f.cut = 0;
      f.use_list = 1;
      f.listed = 0;
    }
    __syncthreads();
  }
  if (f.use_list != 0) {
    for (int64_t id = threadIdx.x; id < a.v; id += blockDim.x) {
      if (BinOf(row.logits[id] * row.inv_temperature) < f.cut) continue;
      const int at = atomicAdd(&f.listed, 1);
      f.p[at] = row.P(id);
      f.id[at] = static_cast<int>(id);
    }
    __syncthreads();
  }
  Word floor = 0, mass;
  if (k > 0) {
    Select(row, 0, false, static_cast<Word>(k));
    floor = f.key;
    mass = f.mass;
  } else {
    mass = __float2ull_rn(stats.total * 1099511627776.0f);
  }
  if (top_p < 1.0f) {
    __syncthreads();
    Select(row, floor, true,
           static_cast<Word>(
               ceil(static_cast<double>(fmaxf(top_p, 0.0f)) * static_cast<double>(mass))));
    floor = f.key;
    mass = f.mass;
  }
  *kept_mass = fminf(1.0f, static_cast<float>(static_cast<double>(mass) * 0x1p-40) / stats.total);
  Word best = 0;
  row.ForIds([&](float p, int id) {
    if (Rank(p, id) < floor) return;
    const float u = UniformOf(SamplerWord(a.seed[n], a.position[n], static_cast<uint32_t>(id)));
    const Word rank = Rank(p / -logf(u), id);
    best = rank > best ? rank : best;
  });
  return BlockReduce(best, Word{0}, Larger());
}

__global__ void __launch_bounds__(kThreads, 2) SampleKernel(SampleArgs a) {
  __shared__ Filter filter;
  for (int64_t n = blockIdx.x; n < a.n; n += gridDim.x) {
    const float* logits = a.logits + n * a.ldl;
    const float t = a.inv_temperature[n];
    RowStats stats;
    Word winner;
    float kept_mass = 1.0f;
    if (a.greedy[n] != 0) {
      SeeLargest see;
      stats = StatsOf(logits, t, a.v, see);
      const float best = BlockReduce(see.best, -Infinity(), Larger());
      winner = BlockReduce(see.best == best ? Rank(1.0f, see.id) : Word{0}, Word{0}, Larger());
    } else if (a.top_p[n] >= 1.0f && (a.top_k[n] <= 0 || a.top_k[n] >= a.v)) {
      SeeGumbel see{a.seed[n], a.position[n]};
      stats = StatsOf(logits, t, a.v, see);
      winner = BlockReduce(Rank(see.best, see.id), Word{0}, Larger());
    } else {
      const bool binned = a.v > kList;  // then the block has kThreads threads
      if (binned) {
        for (int i = threadIdx.x; i < kBins; i += blockDim.x) filter.bins[i] = 0;
        __syncthreads();
      }
      SeeBins see{binned ? filter.bins : nullptr};
      stats = StatsOf(logits, t, a.v, see);
      winner = SampleKept(a, n, stats, filter, binned, &kept_mass);
    }
    if (threadIdx.x == 0) {
      int64_t id = IdOf(winner);
      if (id >= a.v) id = 0;  // not a number anywhere
      a.token[n] = static_cast<int32_t>(id);
      a.logp[n] = LogprobOf(logits, t, id, stats.lse);
      a.entropy[n] = stats.entropy;
      a.kept_mass[n] = kept_mass;
    }
    __syncthreads();  // before the next row takes the shared memory
  }
}

}  // namespace

Error Sample(const SampleArgs& a, Stream stream) {
  if (a.n == 0 || a.v == 0) return nullptr;
  if (a.v > 0x7fffffff) return "sample: more ids than an int32 counts";
  return Launch("sample", SampleKernel, Blocks(a.n, 1), HeadThreads(a.v), 0, stream, a);
}

}  // namespace hone::kernels::cuda
