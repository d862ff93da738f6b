// Device memory, and copies that go through pinned memory of the calling thread.

#include <cstring>

#include "kernels/cuda/pack.cuh"

namespace hone::kernels::cuda {
namespace {

// Two pieces of pinned memory in turn: one is filled or emptied by the host while the other travels.
class Staging {
 public:
  static constexpr int64_t kBytes = int64_t{4} << 20;

  ~Staging() {
    for (Piece& p : pieces_) {
      if (p.travelled != nullptr) {
        cudaEventSynchronize(p.travelled);
        cudaEventDestroy(p.travelled);
      }
      if (p.data != nullptr) cudaFreeHost(p.data);
    }
  }

  Error Upload(const TransferArgs& a, cudaStream_t stream) {
    for (int64_t at = 0; at < a.bytes; at += kBytes) {
      Piece& p = pieces_[next_++ % 2];
      const size_t n = static_cast<size_t>(a.bytes - at < kBytes ? a.bytes - at : kBytes);
      if (const Error error = Prepare(p); error != nullptr) return error;
      std::memcpy(p.data, static_cast<const char*>(a.from) + at, n);
      HONE_CUDA_CALL(cudaMemcpyAsync, static_cast<char*>(a.to) + at, p.data, n, cudaMemcpyHostToDevice, stream);
      HONE_CUDA_CALL(cudaEventRecord, p.travelled, stream);
    }
    return nullptr;
  }

  Error Download(const TransferArgs& a, cudaStream_t stream) {
    int64_t emptied = 0;
    const auto empty = [&](Piece& p) -> Error {
      const int64_t n = a.bytes - emptied < kBytes ? a.bytes - emptied : kBytes;
      HONE_CUDA_CALL(cudaEventSynchronize, p.travelled);
      std::memcpy(static_cast<char*>(a.to) + emptied, p.data, static_cast<size_t>(n));
      emptied += n;
      return nullptr;
    };
    for (int64_t at = 0; at < a.bytes; at += kBytes) {
      Piece& p = pieces_[next_++ % 2];
      if (const Error error = Prepare(p); error != nullptr) return error;
      const size_t n = static_cast<size_t>(a.bytes - at < kBytes ? a.bytes - at : kBytes);
      HONE_CUDA_CALL(cudaMemcpyAsync, p.data, static_cast<const char*>(a.from) + at, n, cudaMemcpyDeviceToHost, stream);
      HONE_CUDA_CALL(cudaEventRecord, p.travelled, stream);
      if (at > 0)
        if (const Error error = empty(pieces_[next_ % 2]); error != nullptr) return error;
    }
    return a.bytes > 0 ? empty(pieces_[(next_ + 1) % 2]) : nullptr;
  }

 private:
  struct Piece {
    void* data = nullptr;
    cudaEvent_t travelled = nullptr;
  };

  // Waits until what it held has travelled, asleep: a step of training ends with such a wait.
  static Error Prepare(Piece& p) {
    if (p.travelled == nullptr)
      HONE_CUDA_CALL(cudaEventCreateWithFlags, &p.travelled,
                     cudaEventDisableTiming | cudaEventBlockingSync);
    if (p.data == nullptr) HONE_CUDA_CALL(cudaMallocHost, &p.data, static_cast<size_t>(kBytes));
    HONE_CUDA_CALL(cudaEventSynchronize, p.travelled);
    return nullptr;
  }

  Piece pieces_[2];
  unsigned next_ = 0;
};

Staging& ThreadStaging() {
  static thread_local Staging staging;
  return staging;
}

cudaStream_t Of(Stream stream) {
  return static_cast<cudaStream_t>(stream);
}

// Copies of two dimensions are slow in CUDA when rows are narrow.
template <typename Word>
__global__ void CopyRowsKernel(CopyArgs a, int64_t words) {
  ForPacks(a.rows, words, [&](int64_t row, int64_t word) {
    reinterpret_cast<Word*>(static_cast<char*>(a.to) + row * a.to_stride)[word] =
        reinterpret_cast<const Word*>(static_cast<const char*>(a.from) + row * a.from_stride)[word];
  });
}

template <typename Word>
Error CopyRows(const CopyArgs& a, Stream stream) {
  const int64_t words = a.row_bytes / static_cast<int64_t>(sizeof(Word));
  return Launch("copy", CopyRowsKernel<Word>, RowGrid(a.rows, words), RowBlock(words), 0, stream, a,
                words);
}

}  // namespace

Error Allocate(int64_t bytes, void** out) {
  HONE_CUDA_CALL(cudaMalloc, out, static_cast<size_t>(bytes > 0 ? bytes : 1));
  return nullptr;
}

Error FreeMemory(int64_t* bytes) {
  size_t free = 0, total = 0;
  HONE_CUDA_CALL(cudaMemGetInfo, &free, &total);
  *bytes = static_cast<int64_t>(free);
  return nullptr;
}

void Release(void* p) {
  cudaFree(p);  // waits for the whole device
}

Error Upload(const TransferArgs& a, Stream stream) {
  return ThreadStaging().Upload(a, Of(stream));
}

Error Download(const TransferArgs& a, Stream stream) {
  return ThreadStaging().Download(a, Of(stream));
}

Error Copy(const CopyArgs& a, Stream stream) {
  if (a.rows == 0 || a.row_bytes == 0) return nullptr;
  if (a.rows == 1) {
    HONE_CUDA_CALL(cudaMemcpyAsync, a.to, a.from, static_cast<size_t>(a.row_bytes),
                   cudaMemcpyDeviceToDevice, Of(stream));
    return nullptr;
  }
  // The widest words that all rows are made of.
  const uint64_t places = reinterpret_cast<uintptr_t>(a.to) | reinterpret_cast<uintptr_t>(a.from) |
                          static_cast<uint64_t>(a.to_stride | a.from_stride | a.row_bytes);
  if (places % 16 == 0) return CopyRows<uint4>(a, stream);
  if (places % 4 == 0) return CopyRows<uint32_t>(a, stream);
  return places % 2 == 0 ? CopyRows<uint16_t>(a, stream) : CopyRows<uint8_t>(a, stream);
}

Error Zero(const ZeroArgs& a, Stream stream) {
  if (a.bytes > 0) HONE_CUDA_CALL(cudaMemsetAsync, a.to, 0, static_cast<size_t>(a.bytes), Of(stream));
  return nullptr;
}

Error Synchronize(Stream stream) {
  HONE_CUDA_CALL(cudaStreamSynchronize, Of(stream));
  return nullptr;
}

}  // namespace hone::kernels::cuda
