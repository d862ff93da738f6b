// What launches have asked about their kernels, each once: asking takes the driver microseconds.
// For the one device of the process.

#include <cstring>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "kernels/cuda/resident.cuh"

namespace hone::kernels::cuda {
namespace {

struct Kernel {
  const char* name = "";
  int64_t launches = 0;
  bool allowed = false;                       // AllowShared was called
  std::map<std::pair<int, int>, int> blocks;  // per multiprocessor, by threads and shared bytes
};

std::mutex mutex;
std::unordered_map<const void*, Kernel>& Kernels() {
  static auto& kernels = *new std::unordered_map<const void*, Kernel>;
  return kernels;
}

// All the dynamic shared memory that there is. Were it what a launch needs, another thread's launch
// of the same kernel could lower it in between.
Error AllowShared(const char* name, const void* kernel, Kernel& known) {
  if (known.allowed) return nullptr;
  cudaFuncAttributes attributes;
  cudaError_t e = cudaFuncGetAttributes(&attributes, kernel);
  if (e == cudaSuccess)
    e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             SharedLimit() - static_cast<int>(attributes.sharedSizeBytes));
  known.allowed = e == cudaSuccess;
  return Failure(name, e);
}

}  // namespace

Error BeforeLaunch(const char* name, const void* kernel, size_t shared_bytes) {
  const std::lock_guard<std::mutex> lock(mutex);
  Kernel& known = Kernels()[kernel];
  known.name = name;
  ++known.launches;
  return shared_bytes == 0 ? nullptr : AllowShared(name, kernel, known);
}

Error BlocksEach(const char* name, const void* kernel, int threads, int shared_bytes, int* blocks) {
  const std::lock_guard<std::mutex> lock(mutex);
  Kernel& known = Kernels()[kernel];
  if (const auto found = known.blocks.find({threads, shared_bytes}); found != known.blocks.end()) {
    *blocks = found->second;
    return nullptr;
  }
  if (const Error e = AllowShared(name, kernel, known); e != nullptr) return e;
  const cudaError_t e =
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, kernel, threads, shared_bytes);
  if (e == cudaSuccess) known.blocks[{threads, shared_bytes}] = *blocks;
  return Failure(name, e);
}

int64_t Launches(const char* name) {
  const std::lock_guard<std::mutex> lock(mutex);
  int64_t launches = 0;
  for (const auto& [kernel, known] : Kernels())
    if (std::strcmp(known.name, name) == 0) launches += known.launches;
  return launches;
}

}  // namespace hone::kernels::cuda
