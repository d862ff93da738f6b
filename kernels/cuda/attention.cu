// Causal attention over ragged sequences and paged keys, for decoding, prefill and training alike:
// a block takes a tile of query vectors and walks over chunks of 64 keys from the start of the
// sequence with a running maximum.
//
// Batch invariance: a score is one chain over D, an output one chain over the keys of each chunk,
// and the sum of a chunk's probabilities has one tree of eight lanes, whatever the tile's shape and
// the place of the vector in it. A key that a vector does not see has probability 0 there, which
// adds nothing, as long as its value is finite.

#include "kernels/cuda/attention_splits.cuh"

namespace hone::kernels::cuda {
namespace {

// kDown x kAcross warps, each with 16 vectors and a part of the keys (scores) or channels
// (results).
template <int kDown_, int kAcross_>
struct Shape {
  static constexpr int kDown = kDown_, kAcross = kAcross_;
  static constexpr int kVectors = 16 * kDown, kThreads = 32 * kDown * kAcross;
};
constexpr int kPairs = 8;           // of 16 channels: a warp's part of a result, at most
constexpr int kLanesPerVector = 8;  // in the softmax

struct Plan {
  Alignment aligned;
  bool latent;
  bool out_pairs;  // results may be stored by pairs
  int stages;      // of keys and values
};

template <typename T, typename S>
struct Memory {
  int ldq, ldv, key_elements, stage_elements;
  static constexpr int kLdScores = kChunk + 4, kLdP = kChunk + kVector<T>;

  __host__ __device__ Memory(const AttentionArgs& a, bool latent)
      : ldq(Apart<T>(static_cast<int>(a.d))),
        ldv(latent ? ldq : Apart<T>(static_cast<int>(a.dv))),
        key_elements(kChunk * ldq),
        stage_elements(key_elements + (latent ? 0 : kChunk * ldv)) {}
  int Bytes(int stages) const {
    return static_cast<int>(sizeof(T)) * (S::kVectors * (ldq + kLdP) + stages * stage_elements) +
           4 * S::kVectors * (kLdScores + 3);
  }
};

// Scores of a vector become probabilities relative to the running maximum; *shrink is what the sums
// so far are multiplied by. Eight lanes, each with eight keys in order.
template <typename T>
__device__ void Softmax(const float* scores, T* p, int visible, float scale, float* max_,
                        float* sum_, float* shrink) {
  constexpr int kEach = kChunk / kLanesPerVector;
  const int lane = threadIdx.x % kLanesPerVector;
  float z[kEach], top = -Infinity();
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int key = lane * kEach + i;
    z[i] = key < visible ? scores[key] * scale : -Infinity();
    top = fmaxf(top, z[i]);
  }
  top = LaneReduce<kLanesPerVector>(top, [](float x, float y) { return fmaxf(x, y); });
  const float before = *max_, now = fmaxf(before, top);
  float add = 0.0f;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int key = lane * kEach + i;
    const float e = key < visible ? expf(z[i] - now) : 0.0f;
    p[key] = T(e);
    add += e;
  }
  add = LaneReduce<kLanesPerVector>(add);
  if (lane == 0) {
    // A chunk of which nothing is visible changes nothing.
    const float factor = now == before ? 1.0f : expf(before - now);
    *max_ = now;
    *sum_ = fmaf(*sum_, factor, add);
    *shrink = factor;
  }
}

template <typename T, typename S>
__global__ void __launch_bounds__(S::kThreads, 1)
    AttentionKernel(AttentionArgs a, Range range, Splits splits, Plan plan) {
  const Memory<T, S> memory(a, plan.latent);
  constexpr int kLdScores = Memory<T, S>::kLdScores, kLdP = Memory<T, S>::kLdP;
  const int d = static_cast<int>(a.d), dv = static_cast<int>(a.dv), ldq = memory.ldq;
  T* const queries = DynamicShared<T>();
  T* const stages = queries + S::kVectors * ldq;
  T* const p = stages + plan.stages * memory.stage_elements;
  float* const scores = reinterpret_cast<float*>(p + S::kVectors * kLdP);
  float* const max_of = scores + S::kVectors * kLdScores;
  float* const sum_of = max_of + S::kVectors;
  float* const shrink_of = sum_of + S::kVectors;

  const int warp = threadIdx.x / 32, own = warp / S::kAcross * 16, part = warp % S::kAcross;
  // Channels of a warp: pairs of 8 from `channel` on.
  const int all_pairs = RoundUp(dv, 16) / 16, each = RoundUp(all_pairs, S::kAcross) / S::kAcross;
  const int channel = 16 * each * part, pairs = max(0, min(each, all_pairs - each * part));
  constexpr int kKeysPerWarp = kChunk / S::kAcross;

  ForTiles<S::kVectors>(a, range, [&](const Tile& tile) {
    const Keys& keys = tile.keys;
    const int v0 = tile.v0, count = tile.count, all = tile.all, chunks = tile.chunks;
    const T* const k = static_cast<const T*>(a.k) + keys.group * a.d;
    const T* const v = static_cast<const T*>(a.v) + keys.group * a.head_v;
    const auto load = [&](int chunk) {
      T* const stage = stages + chunk % plan.stages * memory.stage_elements;
      const int first = chunk * kChunk, some = min(kChunk, all - first);
      LoadKeys(stage, ldq, kChunk, k, a.ldk, d, plan.aligned.k, keys, first, some);
      if (!plan.latent)
        LoadKeys(stage + memory.key_elements, memory.ldv, kChunk, v, a.ldv, dv, plan.aligned.v,
                 keys, first, some);
      CommitCopies();
    };
    LoadRows(queries, ldq, S::kVectors, RoundUp(d, 16), d, plan.aligned.q, [&](int i) {
      return i < count ? static_cast<const T*>(a.q) + keys.Query(a, v0 + i, a.ldq) : nullptr;
    });
    load(tile.first_chunk);
    float acc[1][2 * kPairs][4];
    const auto begin = [&] {
      if (static_cast<int>(threadIdx.x) < S::kVectors) {
        max_of[threadIdx.x] = -Infinity();
        sum_of[threadIdx.x] = 0.0f;
      }
      Clear(acc);
    };
    // f(vector, sum, its place in the part) for this thread's sums that there are.
    const auto each_sum = [&](const Part& earlier, const auto& f) {
      ForFragments(acc, [&](int i, int j, float& x, float& y) {
        if (own + i >= count || j >= 16 * pairs) return;
        float* const at = earlier.acc + (own + i) * dv + channel + j;
        if (channel + j < dv) f(own + i, x, at);
        if (channel + j + 1 < dv) f(own + i, y, at + 1);
      });
    };
    // Brings what earlier splits gave to the sums.
    const auto take = [&](const Part& earlier) {
      each_sum(earlier, [&](int i, float& x, const float* from) {
        x = Join<Natural>(earlier.Top()[i], max_of[i])(*from, x);
      });
      __syncthreads();
      if (static_cast<int>(threadIdx.x) < count) {
        const int i = threadIdx.x;
        const Join<Natural> join(earlier.Top()[i], max_of[i]);
        sum_of[i] = join(earlier.Sum()[i], sum_of[i]);
        max_of[i] = join.top;
      }
      __syncthreads();
    };
    const auto put = [&](const Part& to) {
      each_sum(to, [&](int, float x, float* at) { *at = x; });
      if (static_cast<int>(threadIdx.x) < count) {
        to.Top()[threadIdx.x] = max_of[threadIdx.x];
        to.Sum()[threadIdx.x] = sum_of[threadIdx.x];
      }
    };
    begin();
    for (int chunk = tile.first_chunk; chunk < chunks; ++chunk) {
      WaitCopies<0>();
      __syncthreads();
      if (plan.stages > 1 && chunk + 1 < chunks) load(chunk + 1);
      const T* const stage = stages + chunk % plan.stages * memory.stage_elements;
      {
        float s[1][kKeysPerWarp / 8][4];
        Clear(s);
        MultiplyTile<Lie::kAlongK, Lie::kAlongK>(
            s, queries + own * ldq, ldq, stage + part * kKeysPerWarp * ldq, ldq, RoundUp(d, 16));
        ForFragments(s, [&](int i, int j, float x, float y) {
          float* to = scores + (own + i) * kLdScores + part * kKeysPerWarp + j;
          to[0] = x;
          to[1] = y;
        });
      }
      __syncthreads();
      constexpr int kAtOnce = S::kThreads / kLanesPerVector;
      static_assert(S::kVectors % kAtOnce == 0);
      for (int i = threadIdx.x / kLanesPerVector; i < S::kVectors; i += kAtOnce) {
        const int visible = tile.Visible(i) - chunk * kChunk;
        Softmax(scores + i * kLdScores, p + i * kLdP, visible, a.scale, max_of + i, sum_of + i,
                shrink_of + i);
      }
      __syncthreads();
      const int g = threadIdx.x % 32 / 4;
      const float low = shrink_of[own + g], high = shrink_of[own + g + 8];
#pragma unroll
      for (int j = 0; j < 2 * kPairs; ++j) {
        acc[0][j][0] *= low;
        acc[0][j][1] *= low;
        acc[0][j][2] *= high;
        acc[0][j][3] *= high;
      }
      MultiplyTile<Lie::kAlongK, Lie::kAcross>(
          acc, p + own * kLdP, kLdP, stage + (plan.latent ? 0 : memory.key_elements) + channel,
          memory.ldv, kChunk, pairs);
      if (plan.stages == 1 && chunk + 1 < chunks) {
        __syncthreads();
        load(chunk + 1);
      }
      if (EndsSplit(chunk) && chunk + 1 < chunks) {
        if (chunk >= kSplitChunks) take(splits.Of(tile));
        put(splits.Of(tile));
        begin();
      }
    }
    if (splits.Shares(tile)) {
      put(splits.Of(tile));
    } else {
      if (chunks - tile.first_chunk > kSplitChunks) take(splits.Of(tile));
      ForFragments(acc, [&](int i, int j, float x, float y) {
        const int at = own + i;
        if (at >= count || j >= 16 * pairs) return;
        const float sum = sum_of[at];
        T* out = static_cast<T*>(a.out) + keys.Row(a, v0 + at) * a.dv + channel + j;
        StorePair<T>(out, nullptr, x / sum, y / sum, dv - channel - j, plan.out_pairs);
      });
      const int i = threadIdx.x;
      if (a.lse != nullptr && i < count)
        a.lse[keys.Row(a, v0 + i)] = Natural::Lse(max_of[i], sum_of[i]);
    }
    WaitCopies<0>();
    __syncthreads();  // before the next tile's copies
  });
}

template <typename T, typename S>
Error LaunchShape(const AttentionArgs& a, Range range, Stream stream) {
  const bool out_pairs = a.dv % 2 == 0 && reinterpret_cast<uintptr_t>(a.out) % sizeof(Pair<T>) == 0;
  Plan plan{AlignmentOf<T>(a), Latent(a), out_pairs, 2};
  const Memory<T, S> memory(a, plan.latent);
  const int limit = SharedLimit();
  if (memory.Bytes(2) > limit) plan.stages = 1;
  if (memory.Bytes(plan.stages) > limit)
    return "attention: heads are too wide for the shared memory of this device";
  return LaunchSplits<T, Natural, S::kVectors>("attention", AttentionKernel<T, S>, a, range,
                                               S::kThreads, memory.Bytes(plan.stages), stream,
                                               plan);
}

}  // namespace

Error Attention(const AttentionArgs& a, Stream stream) {
  if (a.heads % a.kv_heads != 0) return "attention: heads is no multiple of kv_heads";
  if (a.d > 576 || a.dv > 512) return "attention: wider than 576 channels, or 512 of values";
  if (a.sequences == 0) return nullptr;
  if (TakesHopper(a)) return LaunchHopper(a, stream);
  return WithType(a.dtype, [&](auto t) -> Error {
    using T = decltype(t);
    // Only the device knows how long a sequence is: one launch takes those of at most 16 vectors
    // (decoding), four warps to a tile; another takes the rest.
    if (Error e = LaunchShape<T, Shape<1, 4>>(a, {1, 16, true}, stream)) return e;
    const Range rest{17, kEvery.most};
    if (a.dv <= 128 && a.d <= 256) return LaunchShape<T, Shape<4, 1>>(a, rest, stream);
    if (a.dv <= 256 && a.d <= 256) return LaunchShape<T, Shape<4, 2>>(a, rest, stream);
    // Two f32 tiles of the widest heads exceed the shared memory.
    return LaunchShape<T, Shape<sizeof(T) == 2 ? 2 : 1, 4>>(a, rest, stream);
  });
}

}  // namespace hone::kernels::cuda
