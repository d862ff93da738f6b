#pragma once

#include <cstddef>

namespace hone::kernels::testing {

// Memory that host and device (if the build has one) both reach. Chosen by file: host_memory.cc,
// cuda_memory.cc.
void* AllocateShared(size_t bytes);
void FreeShared(void* p);
// Waits for the device.
void Synchronize();

}  // namespace hone::kernels::testing
