#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>

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
  if (HasDevice()) cudaDeviceSynchronize();
}

}  // namespace hone::kernels::testing
