#include <string>

#include "kernels/cuda/cuda.cuh"

namespace hone::kernels {
namespace {

// 12.4 of 12040.
std::string Version(int cuda) {
  return std::to_string(cuda / 1000) + "." + std::to_string(cuda % 1000 / 10);
}

// Why device 0 cannot be used; empty: it can. `fault` as in Absence.
std::string Refusal(bool* fault) {
  *fault = false;
  int driver = 0, runtime = 0, devices = 0, major = 0, minor = 0;
  // 0 where there is none; cudaGetDeviceCount then says that it is too old.
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0) return "no NVIDIA driver";
  cudaError_t e = cudaGetDeviceCount(&devices);
  if (e == cudaErrorNoDevice || (e == cudaSuccess && devices == 0)) return "no GPU";
  *fault = true;
  if (e == cudaErrorInsufficientDriver && cudaRuntimeGetVersion(&runtime) == cudaSuccess)
    return "the driver serves CUDA " + Version(driver) + ", and this build needs " +
           Version(runtime);
  if (e == cudaSuccess) e = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  if (e == cudaSuccess) e = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
  // The first call that makes the device work: no permission, broken memory, in exclusive use.
  if (e == cudaSuccess && major >= 8) e = cudaFree(nullptr);
  if (e != cudaSuccess) return std::string("GPU 0: ") + cudaGetErrorString(e);
  if (major < 8)
    return "GPU 0 has compute capability " + std::to_string(major) + "." + std::to_string(minor) +
           ", and 8.0 is needed";
  *fault = false;
  return "";
}

struct Presence {
  Table table = cuda::MakeTable();
  bool fault;
  std::string refusal = Refusal(&fault);
};
const Presence& ThePresence() {
  static const auto& presence = *new Presence;
  return presence;
}

}  // namespace

const Table* Cuda() {
  return ThePresence().refusal.empty() ? &ThePresence().table : nullptr;
}

Absence CudaAbsence() {
  const Presence& presence = ThePresence();
  if (presence.refusal.empty()) return {};
  return {presence.refusal.c_str(), presence.fault};
}

}  // namespace hone::kernels
