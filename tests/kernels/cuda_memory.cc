#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>

#include "tests/kernels/memory.h"

namespace hone::kernels::testing {

void* AllocateShared(size_t bytes) {
  void* p = nullptr;
  // Without a device the CUDA table is absent and host memory is all that is needed.
  if (cudaMallocManaged(&p, bytes + 64) == cudaSuccess) return p;
  std::fputs("tests/kernels: no managed memory\n", stderr);
  std::abort();
}
void FreeShared(void* p) {
  cudaFree(p);
}
void Synchronize() {
  cudaDeviceSynchronize();
}

}  // namespace hone::kernels::testing
