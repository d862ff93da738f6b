#include <cstdlib>

#include "tests/kernels/memory.h"

namespace hone::kernels::testing {

void* AllocateShared(size_t bytes) {
  return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
}
void FreeShared(void* p) {
  std::free(p);
}
void Synchronize() {}
int64_t DeviceLaunches(const char*) {
  return 0;
}
bool DeviceRuns(const char*) {
  return false;
}

}  // namespace hone::kernels::testing
