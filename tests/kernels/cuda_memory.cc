#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/cuda/launches.h"
#include "kernels/kernels.h"
#include "tests/kernels/memory.h"

namespace hone::kernels::testing {

namespace {

// A real one or a simulated one.
bool HasDevice() {
  static const bool has = [] {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
  }();
  return has;
}

}  // namespace

void* AllocateShared(size_t bytes) {
  if (!HasDevice()) return std::aligned_alloc(64, (bytes + 127) / 64 * 64);
  void* p = nullptr;
  if (cudaMallocManaged(&p, bytes + 64) == cudaSuccess) return p;
  std::fputs("tests/kernels: no managed memory\n", stderr);
  std::abort();
}
void FreeShared(void* p) {
  if (!HasDevice()) {
    std::free(p);
  } else {
    cudaFree(p);
  }
}
void Synchronize() {
  if (!HasDevice()) return;
  const cudaError_t e = cudaDeviceSynchronize();
  if (e == cudaSuccess) return;
  std::fprintf(stderr, "tests/kernels: %s\n", cudaGetErrorString(e));
  std::abort();
}
int64_t DeviceLaunches(const char* name) {
  return cuda::Launches(name);
}
bool DeviceRuns(const char* kernel) {
  int major = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  return major == 9 || std::strstr(kernel, "Hopper") == nullptr;
}

}  // namespace hone::kernels::testing
