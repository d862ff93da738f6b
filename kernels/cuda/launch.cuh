#pragma once

// What differs between a GPU and its emulation in tests/kernels/emulated, which has a header of
// this path in place of this one. Kernels use these instead of <<<>>> and __shared__, and are plain
// C++ otherwise.

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <string>

#include "kernels/kernels.h"

// HONE_SHARED(float, tile, [32][33]);  HONE_SHARED(int, count);   a variable of the block, in a
// function, on 128 bytes.
#define HONE_SHARED(type, name, ...) __shared__ __align__(128) type name __VA_ARGS__

namespace hone::kernels::cuda {

// The dynamic shared memory of the launch, on 1024 bytes.
template <typename T>
__device__ inline T* DynamicShared() {
  extern __shared__ __align__(1024) unsigned char hone_dynamic_shared[];
  return reinterpret_cast<T*>(hone_dynamic_shared);
}

// The most blocks that a grid is given (the emulation has few, so that kernels come around for
// more).
inline constexpr int64_t kMaxBlocks = 0x7fffffff;
// Keys of a split of attention (there few, so that there are several).
inline constexpr int kSplitKeys = 2048;

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
