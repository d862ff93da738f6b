// Gradients of attention in two passes that recompute the probabilities: one over tiles of query
// vectors (dq), one over tiles of keys (dk and dv), which takes the sequences of a cluster, and
// their query vectors, in order. No sum is shared between blocks, so the bits never change.
//
// That needs of the keys that sequences share, which the cache and packed prompts give: the same
// place in each of them.

#include "kernels/cuda/attention.cuh"

namespace hone::kernels::cuda {
namespace {

// delta = dout . out, and lse, of `rows` query vectors from v0 on; zeros behind `count`.
template <typename T>
__device__ void LoadStatistics(const AttentionBackwardArgs& b, const Keys& keys, int v0, int count,
                               int rows, float* lse, float* delta) {
  const AttentionArgs& a = b.forward;
  const int lane = threadIdx.x % 8;
  for (int i = threadIdx.x / 8; i < rows; i += blockDim.x / 8) {
    const int64_t at = i < count ? keys.Row(a, v0 + i) : 0;
    const T* out = static_cast<const T*>(a.out) + at * a.dv;
    const T* dout = static_cast<const T*>(b.dout) + at * a.dv;
    float sum = 0.0f;
    for (int c = lane; i < count && c < a.dv; c += 8)
      sum = fmaf(float(dout[c]), float(out[c]), sum);
    sum = LaneReduce<8>(sum);
    if (lane == 0) {
      delta[i] = sum;
      lse[i] = i < count ? a.lse[at] : 0.0f;
    }
  }
}

template <typename T>
__device__ inline const T* DoutRow(const AttentionBackwardArgs& b, const Keys& keys, int v) {
  return static_cast<const T*>(b.dout) + keys.Row(b.forward, v) * b.forward.dv;
}

// Of a 16-row block of vectors and kKeys keys, by one warp: p = exp(scale s - lse) and
// ds = scale p (dp - delta), 0 where a key is not seen. visible(i) counts from the first of the
// keys.
template <typename T, int kKeys, typename Visible, typename Emit>
__device__ void ScoreGradients(const T* q, int ldq, const T* k, const T* dout, int ldo, const T* v,
                               int ldv, int d, int dv, float scale, const float* lse,
                               const float* delta, const Visible& visible, const Emit& emit) {
  float s[1][kKeys / 8][4], dp[1][kKeys / 8][4];
  Clear(s);
  Clear(dp);
  MultiplyTile<Lie::kAlongK, Lie::kAlongK>(s, q, ldq, k, ldq, RoundUp(d, 16));
  MultiplyTile<Lie::kAlongK, Lie::kAlongK>(dp, dout, ldo, v, ldv, RoundUp(dv, 16));
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int j = 0; j < kKeys / 8; ++j) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const int i = g + c / 2 * 8, key = 8 * j + 2 * t + c % 2;
      const bool seen = key < visible(i);
      const float p = seen ? expf(s[0][j][c] * scale - lse[i]) : 0.0f;
      emit(i, key, p, seen ? p * (dp[0][j][c] - delta[i]) * scale : 0.0f);
    }
  }
}

// --- dq
// -------------------------------------------------------------------------------------------

// kDown x kAcross warps: 16 vectors each, and a part of the keys (ds) or channels (dq), of these at
// most kPairs times 16.
template <int kDown_, int kAcross_, int kPairs_>
struct QueryShape {
  static constexpr int kDown = kDown_, kAcross = kAcross_, kPairs = kPairs_;
  static constexpr int kVectors = 16 * kDown, kThreads = 32 * kDown * kAcross;
};

template <typename T, typename S>
struct QueryMemory {
  int ldq, ldo, bytes;
  static constexpr int kLdP = kChunk + kVector<T>;
  __host__ __device__ explicit QueryMemory(const AttentionArgs& a)
      : ldq(Apart<T>(static_cast<int>(a.d))),
        ldo(Apart<T>(static_cast<int>(a.dv))),
        bytes(static_cast<int>(sizeof(T)) *
                  (S::kVectors * (ldq + ldo + kLdP) + kChunk * (ldq + ldo)) +
              8 * S::kVectors) {}
};

template <typename T, typename S>
__global__ void __launch_bounds__(S::kThreads, 1)
    QueryGradientKernel(AttentionBackwardArgs b, Alignment aligned) {
  const AttentionArgs& a = b.forward;
  const QueryMemory<T, S> memory(a);
  const int d = static_cast<int>(a.d), dv = static_cast<int>(a.dv);
  const int ldq = memory.ldq, ldo = memory.ldo;
  constexpr int kLdP = QueryMemory<T, S>::kLdP, kKeysPerWarp = kChunk / S::kAcross;
  T* const queries = DynamicShared<T>();
  T* const douts = queries + S::kVectors * ldq;
  T* const ds = douts + S::kVectors * ldo;
  T* const keys_tile = ds + S::kVectors * kLdP;
  T* const values = keys_tile + kChunk * ldq;
  float* const lse = reinterpret_cast<float*>(values + kChunk * ldo);
  float* const delta = lse + S::kVectors;

  const int warp = threadIdx.x / 32, own = warp / S::kAcross * 16, part = warp % S::kAcross;
  const int all_pairs = RoundUp(d, 16) / 16, each = RoundUp(all_pairs, S::kAcross) / S::kAcross;
  const int channel = 16 * each * part, pairs = max(0, min(each, all_pairs - each * part));

  ForTiles<S::kVectors>(a, kEvery, [&](const Tile& tile) {
    const Keys& keys = tile.keys;
    const int v0 = tile.v0, count = tile.count, all = tile.all;
    LoadRows(queries, ldq, S::kVectors, RoundUp(d, 16), d, aligned.q, [&](int i) {
      return i < count ? static_cast<const T*>(a.q) + keys.Query(a, v0 + i, a.ldq) : nullptr;
    });
    LoadRows(douts, ldo, S::kVectors, RoundUp(dv, 16), dv, aligned.dout,
             [&](int i) { return i < count ? DoutRow<T>(b, keys, v0 + i) : nullptr; });
    LoadStatistics<T>(b, keys, v0, count, S::kVectors, lse, delta);
    float acc[1][2 * S::kPairs][4];
    Clear(acc);
    for (int first = 0; first < all; first += kChunk) {
      const int some = min(kChunk, all - first);
      LoadKeys(keys_tile, ldq, kChunk, static_cast<const T*>(a.k) + keys.group * a.d, a.ldk, d,
               aligned.k, keys, first, some);
      LoadKeys(values, ldo, kChunk, static_cast<const T*>(a.v) + keys.group * a.head_v, a.ldv, dv,
               aligned.v, keys, first, some);
      CommitCopies();
      WaitCopies<0>();
      __syncthreads();
      ScoreGradients<T, kKeysPerWarp>(
          queries + own * ldq, ldq, keys_tile + part * kKeysPerWarp * ldq, douts + own * ldo, ldo,
          values + part * kKeysPerWarp * ldo, ldo, d, dv, a.scale, lse + own, delta + own,
          [&](int i) { return tile.Visible(own + i) - first - part * kKeysPerWarp; },
          [&](int i, int key, float, float x) {
            ds[(own + i) * kLdP + part * kKeysPerWarp + key] = T(x);
          });
      __syncthreads();
      MultiplyTile<Lie::kAlongK, Lie::kAcross>(acc, ds + own * kLdP, kLdP, keys_tile + channel, ldq,
                                               kChunk, pairs);
      __syncthreads();  // before the next chunk's copies
    }
    ForFragments(acc, [&](int i, int j, float x, float y) {
      if (own + i >= count || j >= 16 * pairs) return;
      T* to = static_cast<T*>(b.dq) + keys.Query(a, v0 + own + i, b.lddq) + channel + j;
      StorePair<T>(to, nullptr, x, y, d - channel - j, false);
    });
    WaitCopies<0>();
    __syncthreads();
  });
}

// --- dk and dv
// ------------------------------------------------------------------------------------

// Eight warps take 64 vectors at a time: 4 x 2 of them compute p and ds, then kKeys / 16 times the
// others the gradients, each of 16 keys and at most kPairs (dk) or kValuePairs (dv) times 16
// channels.
template <int kKeys_, int kPairs_, int kValuePairs_>
struct KeyShape {
  static constexpr int kKeys = kKeys_, kPairs = kPairs_, kValuePairs = kValuePairs_;
  static constexpr int kVectors = 64, kThreads = 256, kAcross = 8 / (kKeys / 16);
};

template <typename T, typename S>
struct KeyMemory {
  int ldq, ldo, bytes;
  static constexpr int kLdP = S::kKeys + kVector<T>;
  __host__ __device__ explicit KeyMemory(const AttentionArgs& a)
      : ldq(Apart<T>(static_cast<int>(a.d))),
        ldo(Apart<T>(static_cast<int>(a.dv))),
        bytes(static_cast<int>(sizeof(T)) *
                  (S::kVectors * (ldq + ldo + 2 * kLdP) + S::kKeys * (ldq + ldo)) +
              8 * S::kVectors) {}
};

// A warp's part of `width` channels.
template <int kAcross>
struct Part {
  int channel, pairs;
  __device__ Part(int width, int part) {
    const int all = RoundUp(width, 16) / 16, each = RoundUp(all, kAcross) / kAcross;
    channel = 16 * each * part;
    pairs = max(0, min(each, all - each * part));
  }
};

template <typename T, typename S>
__global__ void __launch_bounds__(S::kThreads, 1)
    KeyGradientKernel(AttentionBackwardArgs b, Alignment aligned) {
  const AttentionArgs& a = b.forward;
  const KeyMemory<T, S> memory(a);
  const int d = static_cast<int>(a.d), dv = static_cast<int>(a.dv);
  const int ldq = memory.ldq, ldo = memory.ldo;
  constexpr int kLdP = KeyMemory<T, S>::kLdP, kKeysPerWarp = S::kKeys / 2;
  T* const queries = DynamicShared<T>();
  T* const douts = queries + S::kVectors * ldq;
  T* const ps = douts + S::kVectors * ldo;
  T* const ds = ps + S::kVectors * kLdP;
  T* const keys_tile = ds + S::kVectors * kLdP;
  T* const values = keys_tile + S::kKeys * ldq;
  float* const lse = reinterpret_cast<float*>(values + S::kKeys * ldo);
  float* const delta = lse + S::kVectors;

  const int warp = threadIdx.x / 32;
  const int own = warp / 2 * 16, half = warp % 2;                        // p and ds
  const int own_key = warp / S::kAcross * 16, part = warp % S::kAcross;  // gradients
  const Part<S::kAcross> dk_part(d, part), dv_part(dv, part);

  ForKeyTiles<S::kKeys>(b, [&](int cluster, int group, int first) {
    for (int sequence = b.cluster_start[cluster]; sequence < b.cluster_start[cluster + 1];
         ++sequence) {
      const Keys keys(a, sequence, group);
      // Keys of a sequence without queries have no gradients; their copies, which nobody would wait
      // for, would land in the tile that the next sequence fills.
      if (keys.kv_len <= first || keys.q_len == 0) continue;
      const int some = min(S::kKeys, keys.kv_len - first);
      LoadKeys(keys_tile, ldq, S::kKeys, static_cast<const T*>(a.k) + keys.group * a.d, a.ldk, d,
               aligned.k, keys, first, some);
      LoadKeys(values, ldo, S::kKeys, static_cast<const T*>(a.v) + keys.group * a.head_v, a.ldv, dv,
               aligned.v, keys, first, some);
      float dk[1][2 * S::kPairs][4], dvalue[1][2 * S::kValuePairs][4];
      Clear(dk);
      Clear(dvalue);
      // From the first query that sees a key of the tile on.
      const int past = keys.kv_len - keys.q_len;
      for (int v0 = max(0, first - past) * keys.heads; v0 < keys.Vectors(); v0 += S::kVectors) {
        const int count = min(S::kVectors, keys.Vectors() - v0);
        LoadRows(queries, ldq, S::kVectors, RoundUp(d, 16), d, aligned.q, [&](int i) {
          return i < count ? static_cast<const T*>(a.q) + keys.Query(a, v0 + i, a.ldq) : nullptr;
        });
        LoadRows(douts, ldo, S::kVectors, RoundUp(dv, 16), dv, aligned.dout,
                 [&](int i) { return i < count ? DoutRow<T>(b, keys, v0 + i) : nullptr; });
        CommitCopies();
        LoadStatistics<T>(b, keys, v0, count, S::kVectors, lse, delta);
        WaitCopies<0>();
        __syncthreads();
        ScoreGradients<T, kKeysPerWarp>(
            queries + own * ldq, ldq, keys_tile + half * kKeysPerWarp * ldq, douts + own * ldo, ldo,
            values + half * kKeysPerWarp * ldo, ldo, d, dv, a.scale, lse + own, delta + own,
            [&](int i) {
              return own + i < count ? min(keys.Visible(v0 + own + i), keys.kv_len) - first -
                                           half * kKeysPerWarp
                                     : 0;
            },
            [&](int i, int key, float p, float x) {
              const int at = (own + i) * kLdP + half * kKeysPerWarp + key;
              ps[at] = T(p);
              ds[at] = T(x);
            });
        __syncthreads();
        MultiplyTile<Lie::kAcross, Lie::kAcross>(dk, ds + own_key, kLdP, queries + dk_part.channel,
                                                 ldq, S::kVectors, dk_part.pairs);
        MultiplyTile<Lie::kAcross, Lie::kAcross>(
            dvalue, ps + own_key, kLdP, douts + dv_part.channel, ldo, S::kVectors, dv_part.pairs);
        __syncthreads();  // before the next copies
      }
      WaitCopies<0>();
      AddGradients(dk, b.dk + keys.group * a.d, b.lddk, keys, first + own_key, d, dk_part.channel,
                   dk_part.pairs);
      AddGradients(dvalue, b.dv + keys.group * a.head_v, b.lddv, keys, first + own_key, dv,
                   dv_part.channel, dv_part.pairs);
      __syncthreads();  // before the next sequence's copies
    }
  });
}

constexpr int64_t kUnknown = int64_t{1} << 30;  // number of tiles
constexpr const char* kTooWide =
    "attention_backward: heads are too wide for the shared memory of this device";

template <typename T, typename S>
Error LaunchQueries(const AttentionBackwardArgs& b, const Alignment& aligned, Stream stream) {
  const QueryMemory<T, S> memory(b.forward);
  if (memory.bytes > SharedLimit()) return kTooWide;
  return LaunchResident("attention_backward dq", QueryGradientKernel<T, S>, kUnknown, S::kThreads,
                        memory.bytes, stream, b, aligned);
}
template <typename T, typename S>
Error LaunchKeys(const AttentionBackwardArgs& b, const Alignment& aligned, Stream stream) {
  const KeyMemory<T, S> memory(b.forward);
  if (memory.bytes > SharedLimit()) return kTooWide;
  return LaunchResident("attention_backward dk, dv", KeyGradientKernel<T, S>, kUnknown, S::kThreads,
                        memory.bytes, stream, b, aligned);
}

template <typename T>
Error LaunchQueriesByWidth(const AttentionBackwardArgs& b, const Alignment& aligned,
                           Stream stream) {
  if constexpr (sizeof(T) == 4) {
    return LaunchQueries<T, QueryShape<1, 4, 4>>(b, aligned, stream);
  } else {
    if (b.forward.d <= 128) return LaunchQueries<T, QueryShape<4, 1, 8>>(b, aligned, stream);
    return LaunchQueries<T, QueryShape<4, 2, 8>>(b, aligned, stream);
  }
}

template <typename T>
Error LaunchType(const AttentionBackwardArgs& b, Stream stream) {
  const AttentionArgs& a = b.forward;
  if (a.d > 256 || a.dv > 256) return "attention_backward: wider than 256 channels";
  const Alignment aligned = AlignmentOf<T>(a, b.dout);
  if (Error error = LaunchQueriesByWidth<T>(b, aligned, stream)) return error;
  if (a.d <= 128 && a.dv <= 128) return LaunchKeys<T, KeyShape<64, 4, 4>>(b, aligned, stream);
  return LaunchKeys<T, KeyShape<32, 4, 4>>(b, aligned, stream);
}

}  // namespace

Error AttentionBackward(const AttentionBackwardArgs& b, Stream stream) {
  const AttentionArgs& a = b.forward;
  if (a.heads % a.kv_heads != 0) return "attention_backward: heads is no multiple of kv_heads";
  if (a.lse == nullptr) return "attention_backward: lse is missing";
  if (a.sequences == 0) return nullptr;
  if (TakesHopper(b)) return LaunchHopper(b, stream);
  return WithType(a.dtype, [&](auto t) { return LaunchType<decltype(t)>(b, stream); });
}

}  // namespace hone::kernels::cuda
