#pragma once

#include <vector>

#include "tests/kernels/simulated/simulated.h"

namespace hone::kernels::testing {

// The CUDA kernels on a device, or on a simulated one; nullptr without either.
inline const Table* DeviceTable() {
  return Cuda() != nullptr ? Cuda() : SimulatedCuda();
}
// Every backend that can run here.
inline std::vector<const Table*> Tables() {
  std::vector<const Table*> all{&Cpu()};
  if (DeviceTable() != nullptr) all.push_back(DeviceTable());
  return all;
}

}  // namespace hone::kernels::testing
