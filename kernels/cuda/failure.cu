#include <mutex>
#include <set>
#include <string>

#include "kernels/cuda/cuda.cuh"

namespace hone::kernels::cuda {

Error Lasting(const std::string& message) {
  static std::mutex mutex;
  static auto& messages = *new std::set<std::string>;
  const std::lock_guard<std::mutex> lock(mutex);
  return messages.insert(message).first->c_str();
}

Error Failure(const char* kernel, cudaError_t error) {
  if (error == cudaSuccess) return nullptr;
  // It is reported here; the next launch is not to find it.
  cudaGetLastError();
  return Lasting(std::string(kernel) + ": " + cudaGetErrorString(error));
}

}  // namespace hone::kernels::cuda
