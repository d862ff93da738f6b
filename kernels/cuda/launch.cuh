#pragma once

// How kernels are launched, and their dynamic shared memory.

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <string>

#include "kernels/kernels.h"

namespace hone::kernels::cuda {

// The dynamic shared memory of the launch, on 1024 bytes.
template <typename T>
__device__ inline T* DynamicShared() {
  extern __shared__ __align__(1024) unsigned char hone_dynamic_shared[];
  return reinterpret_cast<T*>(hone_dynamic_shared);
}

#ifdef HONE_SIMULATED  // tests/kernels/simulated: few of both, so that loops over them come around
inline constexpr int64_t kMaxBlocks = 5;
inline constexpr int kSplitKeys = 128;
#else
// The most blocks that a grid is given.
inline constexpr int64_t kMaxBlocks = 0x7fffffff;
// Keys of a split of attention.
inline constexpr int kSplitKeys = 2048;
#endif

// The message, which then lives for ever; there are few.
Error Lasting(const std::string& message);
// nullptr for cudaSuccess, else "<kernel>: <error>".
Error Failure(const char* kernel, cudaError_t error);

// Counts a launch, and lets the kernel have as much dynamic shared memory as a block may have.
// Thread-safe, as is what is below.
Error BeforeLaunch(const char* name, const void* kernel, size_t shared_bytes);

// Launch("rms_norm", RmsNormKernel<float>, blocks, threads, shared_bytes, stream, args): the
// kernel's own errors come with a later call, as always in CUDA; what comes back is whether it was
// launched. `name` lives for ever.
template <typename... Parameters, typename... Arguments>
Error Launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
             size_t shared_bytes, Stream stream, const Arguments&... arguments) {
  if (Error e = BeforeLaunch(name, reinterpret_cast<const void*>(kernel), shared_bytes)) return e;
  kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(stream)>>>(arguments...);
  return Failure(name, cudaGetLastError());
}

}  // namespace hone::kernels::cuda
