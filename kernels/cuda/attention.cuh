#pragma once

// What forward and backward attention share. A query vector is one query row of one head: vector v
// of sequence s and key/value head g is row v / (H / G), head g H / G + v % (H / G).

#include "kernels/cuda/resident.cuh"
#include "kernels/cuda/tile.cuh"

namespace hone::kernels::cuda {

inline constexpr int kChunk = 64;  // keys
inline constexpr int kSplitChunks = kSplitKeys / kChunk;

// Distance of rows of `width` elements in shared memory: eight rows lie in different banks.
template <typename T>
__host__ __device__ inline int Apart(int width) {
  return RoundUp(width, 16) + kVector<T>;
}

// One key/value head of one sequence. Everything from the arguments, which the device alone can
// read.
struct Keys {
  int64_t q_first;  // row of q
  int q_len, kv_len, heads, group;
  const int32_t* rows;  // [kv_len]

  __device__ Keys(const AttentionArgs& a, int64_t sequence, int64_t g)
      : q_first(a.q_start[sequence]),
        q_len(a.q_start[sequence + 1] - a.q_start[sequence]),
        kv_len(a.kv_start[sequence + 1] - a.kv_start[sequence]),
        heads(static_cast<int>(a.heads / a.kv_heads)),
        group(static_cast<int>(g)),
        rows(a.kv_rows + a.kv_start[sequence]) {}
  __device__ int Vectors() const { return q_len * heads; }
  // Keys that vector v sees.
  __device__ int Visible(int v) const { return kv_len - q_len + v / heads + 1; }
  // Its row of [N, H].
  __device__ int64_t Row(const AttentionArgs& a, int v) const {
    return (q_first + v / heads) * a.heads + group * heads + v % heads;
  }
  // Its elements in q.
  __device__ int64_t Query(const AttentionArgs& a, int v, int64_t ld) const {
    return (q_first + v / heads) * ld + (group * heads + v % heads) * a.d;
  }
};

// Query vectors [v0, v0 + count) of a sequence and key/value head, and which of their keys are the
// block's work.
struct Tile {
  Keys keys;
  int v0, count;
  int all;                  // keys that the last of them sees
  int first_chunk, chunks;  // of those keys: chunks [first_chunk, chunks)
  int number;               // among the launch's tiles

  // Keys that vector i of the tile sees; none behind the last.
  __device__ int Visible(int i) const { return i < count ? keys.Visible(v0 + i) : 0; }
};

// Which sequences a launch is for, by their vectors per key/value head, and whether every split of
// their keys is a tile of its own (attention_splits.cuh).
struct Range {
  int fewest, most;
  bool apart = false;
};
inline constexpr Range kEvery{1, 0x7fffffff};

// f(tile) for this block's tiles of kVectors vectors. Whole warps call.
template <int kVectors, typename F>
__device__ inline void ForTiles(const AttentionArgs& a, Range range, const F& f) {
  const auto tiles = [&](int sequence) {
    const Keys keys(a, sequence, 0);
    const int vectors = keys.Vectors();
    if (vectors < range.fewest || vectors > range.most) return int64_t{0};
    return CeilDiv(vectors, kVectors) * a.kv_heads *
           (range.apart ? CeilDiv(keys.kv_len, kSplitKeys) : 1);
  };
  Walk walk;
  int64_t place;
  const int kv_heads = static_cast<int>(a.kv_heads);
  for (int64_t t = blockIdx.x;; t += gridDim.x) {
    const int sequence = walk.Find(t, static_cast<int>(a.sequences), tiles, &place);
    if (sequence < 0) return;
    int at = static_cast<int>(place);
    const Keys keys(a, sequence, at % kv_heads);
    at /= kv_heads;
    const int across = (keys.Vectors() + kVectors - 1) / kVectors, split = at / across;
    // The last vectors have the most keys: first.
    const int v0 = kVectors * (across - 1 - at % across);
    const int count = min(kVectors, keys.Vectors() - v0), all = keys.Visible(v0 + count - 1);
    int chunks = (all + kChunk - 1) / kChunk;
    if (range.apart) chunks = min(chunks, (split + 1) * kSplitChunks);
    if (split * kSplitChunks < chunks)
      f(Tile{keys, v0, count, all, split * kSplitChunks, chunks, static_cast<int>(t)});
  }
}

// f(cluster, key/value head, first key) for this block's tiles of kKeys keys; the first tiles,
// which most vectors see, first. Whole warps call.
template <int kKeys, typename F>
__device__ inline void ForKeyTiles(const AttentionBackwardArgs& b, const F& f) {
  const AttentionArgs& a = b.forward;
  const auto tiles = [&](int cluster) {
    int longest = 0;
    for (int s = b.cluster_start[cluster]; s < b.cluster_start[cluster + 1]; ++s)
      longest = max(longest, a.kv_start[s + 1] - a.kv_start[s]);
    return CeilDiv(longest, kKeys) * a.kv_heads;
  };
  Walk walk;
  int64_t place;
  for (int64_t t = blockIdx.x;; t += gridDim.x) {
    const int cluster = walk.Find(t, static_cast<int>(b.clusters), tiles, &place);
    if (cluster < 0) return;
    f(cluster, static_cast<int>(place % a.kv_heads), static_cast<int>(place / a.kv_heads) * kKeys);
  }
}

// Whether rows can be copied in vectors.
struct Alignment {
  bool q, k, v, dout;
};
template <typename T>
Alignment AlignmentOf(const AttentionArgs& a, const void* dout = nullptr) {
  return {Aligned<T>(a.q, a.ldq, a.d), Aligned<T>(a.k, a.ldk, a.d),
          Aligned<T>(a.v, a.ldv, a.head_v), Aligned<T>(dout, a.dv)};
}

// attention_hopper.cu and attention_backward_hopper.cu: whether they compute these heads.
bool TakesHopper(const AttentionArgs& a);
bool TakesHopper(const AttentionBackwardArgs& b);
Error LaunchHopper(const AttentionArgs& a, Stream stream);
Error LaunchHopper(const AttentionBackwardArgs& b, Stream stream);

// v are the first channels of k: they need no room of their own.
inline bool Latent(const AttentionArgs& a) {
  return a.v == a.k && a.ldv == a.ldk && a.kv_heads == 1 && a.dv <= a.d;
}

// Keys [first, first + count) of a head into a tile of `rows` rows; zeros behind them.
template <typename T>
__device__ inline void LoadKeys(T* tile, int ld, int rows, const T* from, int64_t ld_from,
                                int width, bool aligned, const Keys& keys, int first, int count) {
  LoadRows(tile, ld, rows, RoundUp(width, 16), width, aligned,
           [&](int i) { return i < count ? from + keys.rows[first + i] * ld_from : nullptr; });
}

// Adds a warp's sums, 16 keys from `first` on and `pairs` times 16 channels from `channel` on, to
// the gradients of the keys that there are.
template <int kBlocks>
__device__ inline void AddGradients(float (&acc)[1][kBlocks][4], float* to, int64_t ld,
                                    const Keys& keys, int first, int width, int channel,
                                    int pairs) {
  ForFragments(acc, [&](int i, int j, float x, float y) {
    if (first + i >= keys.kv_len || j >= 16 * pairs) return;
    float* at = to + keys.rows[first + i] * ld + channel + j;
    StorePair(at, at, x, y, width - channel - j, false);
  });
}

}  // namespace hone::kernels::cuda
