#pragma once

#include "kernels/kernels.h"

namespace hone::kernels {

// The kernels of kernels/cuda as nvcc compiled them for sm_90a, down to PTX, on a simulated GPU.
// nullptr in builds without nvcc, and in those with CUDA, which have the real thing. A launch is
// run by the thread that waits for it; several may.
const Table* SimulatedCuda();

}  // namespace hone::kernels
