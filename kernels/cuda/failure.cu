#include <mutex>
#include <set>
#include <string>

#include "kernels/cuda/cuda.cuh"

namespace hone::kernels::cuda {

Error Failure(const char* kernel, cudaError_t error) {
  if (error == cudaSuccess) return nullptr;
  // It is reported here; the next launch is not to find it.
  cudaGetLastError();
  // Messages live for ever; there are few.
  static std::mutex mutex;
  static auto& messages = *new std::set<std::string>;
  const std::lock_guard<std::mutex> lock(mutex);
  return messages.insert(std::string(kernel) + ": " + cudaGetErrorString(error)).first->c_str();
}

}  // namespace hone::kernels::cuda
