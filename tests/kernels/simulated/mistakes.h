#pragma once

// Kernels with one mistake each, and what the simulated GPU says of it.

#include <cuda_runtime.h>

#include <vector>

namespace hone::simulated {

struct Mistake {
  const char* name;
  const char* message;
  // Launches the kernel, right or wrong, and waits for it; what CUDA says.
  cudaError_t (*run)(bool right);
};
const std::vector<Mistake>& Mistakes();

inline constexpr int kCollectives = 8;
// Writes to unsigned [64][kCollectives], on the device, what each thread of one block has from the
// collectives that the cases of simulated_test.cc name.
void RunCollectives(unsigned* out);

}  // namespace hone::simulated
