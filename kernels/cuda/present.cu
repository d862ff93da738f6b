#include "kernels/cuda/cuda.cuh"

namespace hone::kernels {

const Table* Cuda() {
  static const bool present = [] {
    int n = 0;
    return cudaGetDeviceCount(&n) == cudaSuccess && n > 0;
  }();
  static const Table table = cuda::MakeTable();
  return present ? &table : nullptr;
}

}  // namespace hone::kernels
