#pragma once

#include "kernels/kernels.h"

namespace hone::kernels {

// The kernels of kernels/cuda, compiled as plain C++ and run on fibers (block.h). Proves what they
// compute, not that a GPU computes it. One thread at a time.
const Table& EmulatedCuda();

}  // namespace hone::kernels
