// Changed weights: found by their marks, listed, put in place elsewhere; and digests. A block takes
// a segment at a time, a thread eight words of its marks, so that the list is in order.

#include "kernels/cuda/cuda.cuh"
#include "kernels/mix.h"

namespace hone::kernels::cuda {
namespace {

constexpr int kThreads = 256, kWords = static_cast<int>(kSegment) / 32 / kThreads;

unsigned SegmentGrid(int64_t n) {
  return Blocks((n + kSegment - 1) / kSegment, 1);
}

// f(segment) for this block's segments.
template <typename F>
__device__ inline void ForSegments(int64_t n, const F& f) {
  for (int64_t s = blockIdx.x; s * kSegment < n; s += gridDim.x) f(s);
}

// f(word, bits) for this thread's words of a segment.
template <typename F>
__device__ inline void ForWords(const uint32_t* bits, int64_t n, int64_t segment, const F& f) {
  const int64_t first = segment * (kSegment / 32) + threadIdx.x * kWords;
  for (int64_t w = first; w < first + kWords && w * 32 < n; ++w) f(w, bits[w]);
}

__device__ inline unsigned CountOwn(const uint32_t* bits, int64_t n, int64_t segment) {
  unsigned count = 0;
  ForWords(bits, n, segment, [&](int64_t, uint32_t word) { count += __popc(word); });
  return count;
}

__global__ void __launch_bounds__(kThreads) CountMarkedKernel(CountMarkedArgs a) {
  ForSegments(a.n, [&](int64_t segment) {
    const unsigned count = BlockReduce(CountOwn(a.bits, a.n, segment));
    if (threadIdx.x == 0) a.counts[segment] = count;
  });
}

__global__ void __launch_bounds__(kThreads) CollectMarkedKernel(CollectMarkedArgs a) {
  ForSegments(a.n, [&](int64_t segment) {
    unsigned all;
    int64_t to = a.starts[segment] + BlockScan(CountOwn(a.bits, a.n, segment), &all);
    ForWords(a.bits, a.n, segment, [&](int64_t w, uint32_t word) {
      for (; word != 0; word &= word - 1) {
        const int64_t i = w * 32 + __ffs(static_cast<int>(word)) - 1;
        a.places[to] = static_cast<uint16_t>(i - segment * kSegment);
        a.values[to++] = a.x[i];
      }
    });
  });
}

__global__ void __launch_bounds__(kThreads) PlaceMarkedKernel(PlaceMarkedArgs a) {
  ForSegments(a.n, [&](int64_t segment) {
    for (int64_t i = a.starts[segment] + threadIdx.x; i < a.starts[segment + 1]; i += blockDim.x)
      a.x[segment * kSegment + a.places[i]] = a.values[i];
  });
}

__global__ void __launch_bounds__(kThreads) DigestKernel(DigestArgs a) {
  const auto* const words = static_cast<const uint64_t*>(a.x);
  const int64_t whole = a.bytes / 8;
  uint64_t sum = 0;
  for (int64_t j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; j < whole;
       j += int64_t{gridDim.x} * blockDim.x)
    sum += Mix(static_cast<uint64_t>(j), words[j]);
  if (blockIdx.x == 0 && threadIdx.x == 0 && a.bytes % 8 != 0) {
    const auto* const rest = reinterpret_cast<const uint8_t*>(words + whole);
    uint64_t word = 0;
    for (int i = 0; i < a.bytes % 8; ++i) word |= uint64_t{rest[i]} << 8 * i;
    sum += Mix(static_cast<uint64_t>(whole), word);
  }
  sum = BlockReduce(sum);
  if (threadIdx.x == 0) atomicAdd(reinterpret_cast<unsigned long long*>(a.out), sum);
}

}  // namespace

Error CountMarked(const CountMarkedArgs& a, Stream stream) {
  if (a.n == 0) return nullptr;
  return Launch("count_marked", CountMarkedKernel, SegmentGrid(a.n), kThreads, 0, stream, a);
}

Error CollectMarked(const CollectMarkedArgs& a, Stream stream) {
  if (a.n == 0) return nullptr;
  return Launch("collect_marked", CollectMarkedKernel, SegmentGrid(a.n), kThreads, 0, stream, a);
}

Error PlaceMarked(const PlaceMarkedArgs& a, Stream stream) {
  if (a.n == 0) return nullptr;
  return Launch("place_marked", PlaceMarkedKernel, SegmentGrid(a.n), kThreads, 0, stream, a);
}

Error Digest(const DigestArgs& a, Stream stream) {
  if (a.bytes == 0) return nullptr;
  // Few blocks, each with many words: one atomic per block.
  const unsigned blocks = Blocks((a.bytes + 7) / 8, 32 * kThreads);
  return Launch("digest", DigestKernel, blocks, kThreads, 0, stream, a);
}

}  // namespace hone::kernels::cuda
