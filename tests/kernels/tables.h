#pragma once

#include <vector>

#include "tests/kernels/emulated/emulated.h"
#include "tests/kernels/simulated/simulated.h"

namespace hone::kernels::testing {

// The CUDA kernels, emulated, and on a device, which may be simulated.
inline std::vector<const Table*> CudaTables() {
  std::vector<const Table*> all;
  for (const Table* table : {Cuda(), SimulatedCuda()})
    if (table != nullptr) all.push_back(table);
  return all;
}
// Every backend that can run here.
inline std::vector<const Table*> Tables() {
  std::vector<const Table*> all = CudaTables();
  all.insert(all.begin(), &Cpu());
  return all;
}

}  // namespace hone::kernels::testing
