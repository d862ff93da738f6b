#include "kernels/cuda/cuda.cuh"
#include "tests/kernels/emulated/block.h"
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

int64_t EmulatedLaunches(const char* name) {
  return hone_emulation::Launches(name);
}

}  // namespace hone::kernels
