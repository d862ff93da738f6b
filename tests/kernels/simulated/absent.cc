#include "tests/kernels/simulated/simulated.h"

namespace hone::kernels {

const Table* SimulatedCuda() {
  return nullptr;
}

}  // namespace hone::kernels
