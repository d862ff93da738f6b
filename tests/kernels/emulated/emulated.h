#pragma once

#include "kernels/kernels.h"

namespace hone::kernels {

// The kernels of kernels/cuda, compiled as plain C++ and run on fibers (block.h). Proves what they
// compute, not that a GPU computes it. One thread at a time.
const Table& EmulatedCuda();

// How often a kernel of this name (as in messages) was launched.
int64_t EmulatedLaunches(const char* name);

}  // namespace hone::kernels
