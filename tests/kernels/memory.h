#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hone::kernels::testing {

// Memory that host and device (if the build has one) both reach. Chosen by file: host_memory.cc,
// cuda_memory.cc.
void* AllocateShared(size_t bytes);
void FreeShared(void* p);
// Waits for the device.
void Synchronize();
// How often a kernel of this name was launched on the device.
int64_t DeviceLaunches(const char* name);
// Whether the device could: not if it is one of Hopper's and the device none.
bool DeviceRuns(const char* kernel);

// A vector on such memory.
template <typename T>
struct SharedAllocator {
  using value_type = T;
  SharedAllocator() = default;
  template <typename U>
  SharedAllocator(const SharedAllocator<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(AllocateShared(n * sizeof(T))); }
  void deallocate(T* p, size_t) { FreeShared(p); }
  template <typename U>
  bool operator==(const SharedAllocator<U>&) const {
    return true;
  }
};
template <typename T>
using SharedVector = std::vector<T, SharedAllocator<T>>;

}  // namespace hone::kernels::testing
