#pragma once

// Attention over more keys than a split has. Each split of kSplitKeys keys, counted from the start
// of the sequence, has a running maximum of its own, and what the splits give comes together in
// their order. So blocks can share a sequence where sequences are few (decoding: splits apart, then
// CombineKernel), and a block that has all the keys of its vectors (training) does the same alone,
// to the same bits.

#include "kernels/cuda/attention.cuh"

namespace hone::kernels::cuda {

// What splits give for the vectors of a tile: values times probabilities, relative to the maximum
// of the scores; that; the sum of the probabilities.
struct Part {
  float* acc;  // [rows, width], then [rows] and [rows]
  int rows, width;
  __device__ float* Top() const { return acc + rows * width; }
  __device__ float* Sum() const { return Top() + rows; }
};

// Memory of one launch for parts: one of every tile if splits are apart, else one of every block,
// which has there what its tile's earlier splits gave. Halves of the channels may have their own.
struct Splits {
  float* memory = nullptr;  // null: no sequence has more than one split
  int rows, width, halves;
  bool apart;

  __host__ __device__ int64_t Elements() const { return int64_t{rows} * (width + 2); }
  __device__ Part At(int64_t slot, int half) const {
    return {memory + (slot * halves + half) * Elements(), rows, width};
  }
  __device__ Part Of(const Tile& tile, int half = 0) const {
    return At(apart ? tile.number : blockIdx.x, half);
  }
  // Whether other blocks have other keys of the tile's vectors.
  __device__ bool Shares(const Tile& tile) const { return apart && tile.all > kSplitKeys; }
};

__device__ inline bool EndsSplit(int chunk) {
  return (chunk + 1) % kSplitChunks == 0;
}

// Scores in natural units: what a maximum is subtracted from, and the logarithm of a sum.
struct Natural {
  __device__ static float Exp(float x) { return expf(x); }
  __device__ static float Lse(float top, float sum) { return top + logf(sum); }
};

// Brings sums of earlier splits and of the next one to their common maximum.
template <typename Units>
struct Join {
  float top, before, now;

  __device__ Join(float first, float second)
      : top(fmaxf(first, second)),
        before(first == top ? 1.0f : Units::Exp(first - top)),
        now(second == top ? 1.0f : Units::Exp(second - top)) {}
  // Exactly x for a split of which the vector sees nothing.
  __device__ float operator()(float x, float y) const {
    return now == 0.0f ? x * before : fmaf(y, now, x * before);
  }
};

// Results of the tiles that several blocks share, each of which takes some of the vectors.
template <typename T, typename Units, int kVectors>
__global__ void __launch_bounds__(512) CombineKernel(AttentionArgs a, Range range, Splits splits) {
  ForTiles<kVectors>(a, range, [&](const Tile& tile) {
    if (!splits.Shares(tile)) return;
    const int split = tile.first_chunk / kSplitChunks;
    const int all = static_cast<int>(CeilDiv(tile.all, kSplitKeys));
    const int64_t stride = CeilDiv(tile.keys.Vectors(), kVectors) * a.kv_heads;  // tiles of a split
    const int64_t first = tile.number - split * stride;
    for (int i = split; i < tile.count; i += all) {
      const int64_t row = tile.keys.Row(a, tile.v0 + i);
      for (int c = threadIdx.x; c < a.dv; c += blockDim.x) {
        float top = 0.0f, sum = 0.0f, x = 0.0f;
#pragma unroll 4
        for (int s = 0; s < all; ++s) {
          const Part part = splits.At(first + s * stride, c / splits.width);
          const float y = part.acc[i * part.width + c % part.width];
          const Join<Units> join(s == 0 ? part.Top()[i] : top, part.Top()[i]);
          x = s == 0 ? y : join(x, y);
          sum = s == 0 ? part.Sum()[i] : join(sum, part.Sum()[i]);
          top = join.top;
        }
        static_cast<T*>(a.out)[row * a.dv + c] = T(x / sum);
        if (c == 0 && a.lse != nullptr) a.lse[row] = Units::Lse(top, sum);
      }
    }
  });
}

// Launches kernel(a, range, splits, more...), whose tiles have kVectors vectors, and what completes
// its results.
template <typename T, typename Units, int kVectors, int kHalves = 1, typename Kernel,
          typename... More>
Error LaunchSplits(const char* name, Kernel kernel, const AttentionArgs& a, Range range,
                   int threads, int shared_bytes, Stream stream, const More&... more) {
  constexpr int64_t kUnknown = int64_t{1} << 30;  // number of tiles
  const int64_t most = std::min<int64_t>(range.most, a.max_q_len * (a.heads / a.kv_heads));
  if (most < range.fewest) return nullptr;
  Splits splits{nullptr, static_cast<int>(std::min<int64_t>(kVectors, most)),
                static_cast<int>(a.dv) / kHalves, kHalves, range.apart};
  StreamMemory memory(stream);
  if (a.max_kv_len > kSplitKeys) {
    int64_t slots = 0;
    if (range.apart) {
      slots = (a.total_kv_len / kSplitKeys + a.sequences) * a.kv_heads * CeilDiv(most, kVectors);
    } else if (Error e = ResidentBlocks(name, kernel, threads, shared_bytes, &slots)) {
      return e;
    }
    if (Error e = memory.Allocate(name, slots * kHalves * splits.Elements() * 4)) return e;
    splits.memory = static_cast<float*>(memory.data());
  }
  if (Error e = LaunchResident(name, kernel, kUnknown, threads, shared_bytes, stream, a, range,
                               splits, more...))
    return e;
  if (splits.memory == nullptr || !range.apart) return nullptr;
  return LaunchResident("attention (splits)", CombineKernel<T, Units, kVectors>, kUnknown,
                        std::min(512, RoundUp(static_cast<int>(a.dv), 32)), 0, stream, a, range,
                        splits);
}

}  // namespace hone::kernels::cuda
