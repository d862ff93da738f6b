#pragma once

// Stands in for CUDA's run-time library (see cuda_runtime.h): all work is done when its call
// returns, unless it is captured.

#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace hone_emulation {

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorStreamCaptureUnsupported = 900,
};
using cudaStream_t = struct StreamOfEmulation*;
inline constexpr unsigned cudaStreamNonBlocking = 1;

inline const char* cudaGetErrorString(cudaError_t e) {
  return e == cudaSuccess             ? "no error"
         : e == cudaErrorInvalidValue ? "invalid argument"
         : e == cudaErrorStreamCaptureUnsupported
             ? "operation not permitted when stream is capturing"
             : "out of memory";
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  static char one;
  *stream = reinterpret_cast<cudaStream_t>(&one);
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) {
  return cudaSuccess;
}

// The work of a graph, in order. A thread has one stream, so that what it does while it captures is
// the stream's.
using cudaGraph_t = std::vector<std::function<void()>>*;
using cudaGraphExec_t = cudaGraph_t;
inline constexpr int cudaStreamCaptureModeThreadLocal = 1;
inline thread_local cudaGraph_t captured = nullptr;

inline cudaError_t cudaStreamBeginCapture(cudaStream_t, int) {
  if (captured != nullptr) return cudaErrorStreamCaptureUnsupported;
  captured = new std::vector<std::function<void()>>;
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = std::exchange(captured, nullptr);
  return *graph == nullptr ? cudaErrorInvalidValue : cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, int) {
  *made = new std::vector<std::function<void()>>(*graph);
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t made) {
  delete made;
  return cudaSuccess;
}
// Now, or when what is captured is launched.
inline cudaError_t Do(std::function<void()> work) {
  if (captured != nullptr) {
    captured->push_back(std::move(work));
  } else {
    work();
  }
  return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t made, cudaStream_t) {
  if (captured != nullptr) return cudaErrorStreamCaptureUnsupported;
  for (const std::function<void()>& work : *made) work();
  return cudaSuccess;
}

inline cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t) {
  return Do([=] { std::memset(p, value, bytes); });
}

inline constexpr int cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2,
                     cudaMemcpyDeviceToDevice = 3;
// CUDA captures copies from and to the host, too, but kernels.h has none in a recording.
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, int kind,
                                   cudaStream_t) {
  if (captured != nullptr && kind != cudaMemcpyDeviceToDevice)
    return cudaErrorStreamCaptureUnsupported;
  return Do([=] { std::memmove(to, from, bytes); });
}
inline cudaError_t cudaMemcpy2DAsync(void* to, size_t to_stride, const void* from,
                                     size_t from_stride, size_t width, size_t rows, int,
                                     cudaStream_t) {
  return Do([=] {
    for (size_t i = 0; i < rows; ++i)
      std::memcpy(static_cast<char*>(to) + i * to_stride,
                  static_cast<const char*>(from) + i * from_stride, width);
  });
}
inline cudaError_t cudaMalloc(void** p, size_t bytes) {
  if (captured != nullptr) return cudaErrorStreamCaptureUnsupported;
  *p = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *p == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = size_t{80} << 30;
  *free = *total / 2;
  return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** p, size_t bytes) {
  return cudaMalloc(p, bytes);
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
using cudaMemPool_t = struct MemPoolOfEmulation*;
inline constexpr int cudaMemPoolAttrReleaseThreshold = 4;
inline cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t*, int) {
  return cudaSuccess;
}
inline cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, int, void*) {
  return cudaSuccess;
}
// In what is captured: memory that lives as long as that.
inline cudaError_t cudaMallocAsync(void** p, size_t bytes, cudaStream_t) {
  if (captured == nullptr) return cudaMalloc(p, bytes);
  const std::shared_ptr<char[]> memory(new char[bytes]);
  *p = memory.get();
  return Do([memory] {});
}
inline cudaError_t cudaFree(void* p) {
  std::free(p);
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* p) {
  return cudaFree(p);
}
inline cudaError_t cudaFreeAsync(void* p, cudaStream_t) {
  return captured == nullptr ? cudaFree(p) : cudaSuccess;
}

// All work is done when its call returns, so an event has nothing to wait for.
using cudaEvent_t = struct EventOfEmulation*;
inline constexpr unsigned cudaEventDisableTiming = 2;
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  static char one;
  *event = reinterpret_cast<cudaEvent_t>(&one);
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t) {
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return captured != nullptr ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

}  // namespace hone_emulation
