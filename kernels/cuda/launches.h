#pragma once

#include <cstdint>

namespace hone::kernels::cuda {

// How often kernels of this name (as in messages) were launched: tests ask which of those that
// could compute a case did. Thread-safe.
int64_t Launches(const char* name);

}  // namespace hone::kernels::cuda
