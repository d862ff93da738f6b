#pragma once

// Replaces kernels/cuda/resident.cuh: a device with few places for blocks and much shared memory.

#include "kernels/cuda/launch.cuh"

namespace hone::kernels::cuda {

inline int Processors() {
  return 3;
}
inline int SharedLimit() {
  return 227 << 10;
}
inline bool HasHopper() {
  return true;
}

template <typename Kernel>
Error ResidentBlocks(const char*, Kernel, int, int, int64_t* blocks) {
  *blocks = Processors();
  return nullptr;
}

template <typename... Parameters, typename... Arguments>
Error LaunchResident(const char* name, void (*kernel)(Parameters...), int64_t tiles, int threads,
                     int shared_bytes, Stream stream, const Arguments&... arguments) {
  if (tiles <= 0) return nullptr;
  return Launch(name, kernel, static_cast<unsigned>(std::min<int64_t>(tiles, Processors())),
                static_cast<unsigned>(threads), static_cast<size_t>(shared_bytes), stream,
                arguments...);
}

}  // namespace hone::kernels::cuda
