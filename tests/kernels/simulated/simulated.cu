#include "kernels/cuda/cuda.cuh"
#include "tests/kernels/simulated/simulated.h"

namespace hone::kernels {

const Table* SimulatedCuda() {
  static const Table table = [] {
    Table t = cuda::MakeTable();
    t.name = "simulated cuda";
    return t;
  }();
  return &table;
}

}  // namespace hone::kernels
