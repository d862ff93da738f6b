#pragma once

#include <vector>

#include "tests/kernels/emulated/emulated.h"

namespace hone::kernels::testing {

// Every backend that can run here: the CPU, the emulated CUDA kernels, and those on a device.
inline std::vector<const Table*> Tables() {
  std::vector<const Table*> all{&Cpu(), &EmulatedCuda()};
  if (Cuda() != nullptr) all.push_back(Cuda());
  return all;
}

}  // namespace hone::kernels::testing
