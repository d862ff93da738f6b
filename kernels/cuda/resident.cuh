#pragma once

// Launches whose blocks stay and walk over the work: as many as the device holds at a time.

#include <algorithm>

#include "kernels/cuda/launch.cuh"

namespace hone::kernels::cuda {

// An attribute of the current device; 0 on failure, which the launch then reports.
inline int Attribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return 0;
  return cudaDeviceGetAttribute(&value, attribute, device) == cudaSuccess ? value : 0;
}
// Multiprocessors.
inline int Processors() {
  return Attribute(cudaDevAttrMultiProcessorCount);
}
// Shared memory that a block may have, in bytes.
inline int SharedLimit() {
  return Attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
}
// Whether the device has the instructions of hopper.cuh, which were compiled for sm_90a alone.
inline bool HasHopper() {
  return Attribute(cudaDevAttrComputeCapabilityMajor) == 9;
}

// How many blocks of a kernel a multiprocessor holds at a time.
Error BlocksEach(const char* name, const void* kernel, int threads, int shared_bytes, int* blocks);

// How many the device holds.
template <typename Kernel>
Error ResidentBlocks(const char* name, Kernel kernel, int threads, int shared_bytes,
                     int64_t* blocks) {
  int each = 0;
  const Error e =
      BlocksEach(name, reinterpret_cast<const void*>(kernel), threads, shared_bytes, &each);
  *blocks = std::max(1, each) * int64_t{Processors()};
  return e;
}

// Launch with at most `tiles` blocks.
template <typename... Parameters, typename... Arguments>
Error LaunchResident(const char* name, void (*kernel)(Parameters...), int64_t tiles, int threads,
                     int shared_bytes, Stream stream, const Arguments&... arguments) {
  if (tiles <= 0) return nullptr;
  int64_t blocks = 0;
  if (Error e = ResidentBlocks(name, kernel, threads, shared_bytes, &blocks)) return e;
  return Launch(name, kernel, static_cast<unsigned>(std::min(tiles, blocks)), threads, shared_bytes,
                stream, arguments...);
}

}  // namespace hone::kernels::cuda
