#pragma once

#include <vector>

#include "tests/kernels/emulated/emulated.h"

namespace hone::kernels::testing {

// The CUDA kernels, emulated and, where there is one, on a device.
inline std::vector<const Table*> CudaTables() {
  std::vector<const Table*> all{&EmulatedCuda()};
  if (Cuda() != nullptr) all.push_back(Cuda());
  return all;
}
// Every backend that can run here.
inline std::vector<const Table*> Tables() {
  std::vector<const Table*> all = CudaTables();
  all.insert(all.begin(), &Cpu());
  return all;
}

}  // namespace hone::kernels::testing
