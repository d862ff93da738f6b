#include "kernels/cuda/cuda.cuh"
#include "tests/kernels/emulated/emulated.h"

namespace hone::kernels {

const Table& EmulatedCuda() {
  static const Table table = [] {
    Table t = cuda::MakeTable();
    t.name = "emulated cuda";
    return t;
  }();
  return table;
}

}  // namespace hone::kernels
