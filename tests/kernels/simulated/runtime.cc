// CUDA's run-time library for the simulated device: what kernels/cuda and its tests use.

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "tests/kernels/simulated/device_memory.h"
#include "tests/kernels/simulated/machine.h"
#include "tests/kernels/simulated/streams.h"

namespace hone::simulated {
namespace {

constexpr int kProcessors = 3;  // few, so that every block takes several tiles
constexpr int kSharedLimit = 227 << 10;
constexpr uint64_t kDeviceBytes = uint64_t{32} << 30;

struct Function {
  std::string name;
  int dynamic_shared_bytes = 48 << 10;  // the most that is allowed
};
struct Runtime {
  std::map<std::string, Kernel> kernels;
  std::map<const void*, Function> functions;
  std::map<const uint8_t*, size_t> pinned;
};
Runtime& The() {
  static Runtime& runtime = *new Runtime;
  return runtime;
}

bool IsPinned(const void* p) {
  const auto* const at = static_cast<const uint8_t*>(p);
  auto it = The().pinned.upper_bound(at);
  return it != The().pinned.begin() && (--it, at < it->first + it->second);
}
uint8_t* Reach(const void* p, size_t bytes) {
  return IsDevice(p)
             ? DeviceBytes(reinterpret_cast<uint64_t>(p), static_cast<int64_t>(bytes), "a copy")
             : static_cast<uint8_t*>(const_cast<void*>(p));
}

Function& FunctionAt(const void* host) {
  const auto it = The().functions.find(host);
  if (it == The().functions.end()) Stop("a kernel that was not registered");
  return it->second;
}
Kernel& KernelOf(const Function& f) {
  const auto it = The().kernels.find(f.name);
  if (it == The().kernels.end()) Stop("no PTX of %s", f.name.c_str());
  return it->second;
}

CUresult EncodeTensorMap(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t dimensions,
                         void* base, const cuuint64_t* sizes, const cuuint64_t* strides,
                         const cuuint32_t* box, const cuuint32_t* steps,
                         CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                         CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  if (type != CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 || dimensions != 3 ||
      interleave != CU_TENSOR_MAP_INTERLEAVE_NONE || swizzle != CU_TENSOR_MAP_SWIZZLE_128B ||
      box[0] != 64 || box[2] != 1)
    Stop("a tensor map that the simulated device does not know");
  bool good = reinterpret_cast<uint64_t>(map) % 64 == 0 &&
              reinterpret_cast<uint64_t>(base) % 16 == 0 && box[1] > 0 && box[1] <= 256;
  for (int d = 0; d < 3; ++d)
    good = good && sizes[d] > 0 && sizes[d] <= (uint64_t{1} << 32) && steps[d] == 1;
  for (int d = 0; d < 2; ++d)
    good = good && strides[d] % 16 == 0 && strides[d] < (uint64_t{1} << 40);
  if (!good) return CUDA_ERROR_INVALID_VALUE;
  const TensorMap made{TensorMap::kMagic,
                       reinterpret_cast<uint64_t>(base),
                       {sizes[0], sizes[1], sizes[2]},
                       {strides[0], strides[1]},
                       box[1]};
  static_assert(sizeof made <= sizeof *map);
  std::memset(map, 0, sizeof *map);
  std::memcpy(map, &made, sizeof made);
  return CUDA_SUCCESS;
}

Extent ExtentOf(dim3 d) {
  return {d.x, d.y, d.z};
}
struct Configuration {
  dim3 blocks, threads;
  size_t shared_bytes;
  cudaStream_t stream;
};
thread_local Configuration configuration;

}  // namespace
}  // namespace hone::simulated

using namespace hone::simulated;  // NOLINT: what follows has the names of CUDA

// What nvcc's code for the host calls.
extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) {
  struct Wrapper {
    int magic, version;
    const char* data;
    void* more;
  };
  const char* const data = static_cast<const Wrapper*>(wrapper)->data;
  struct Header {
    uint32_t magic;
    uint16_t version, bytes;
    uint64_t body;
  } header;
  std::memcpy(&header, data, sizeof header);
  const char *at = data, *const end = data + header.bytes + header.body;
  static const char kBegin[] = ".version ";
  while ((at = std::search(at, end, kBegin, kBegin + sizeof kBegin - 1)) != end) {
    const std::string ptx(at, std::find(at, end, '\0'));
    ReadPtx(ptx, The().kernels);
    at += ptx.size();
  }
  static void* handle;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) {
  return 1;
}
void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
  The().functions[host].name = name;
}
unsigned __cudaPushCallConfiguration(dim3 blocks, dim3 threads, size_t shared_bytes,
                                     cudaStream_t stream) {
  configuration = {blocks, threads, shared_bytes, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* blocks, dim3* threads, size_t* shared_bytes,
                                       void* stream) {
  *blocks = configuration.blocks;
  *threads = configuration.threads;
  *shared_bytes = configuration.shared_bytes;
  *static_cast<cudaStream_t*>(stream) = configuration.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 blocks, dim3 threads, void** arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  const Lock lock;
  const Function& f = FunctionAt(kernel);
  Grid grid{.kernel = &KernelOf(f),
            .blocks = ExtentOf(blocks),
            .threads = ExtentOf(threads),
            .dynamic_shared_bytes = static_cast<int64_t>(shared_bytes)};
  const Kernel& k = *grid.kernel;
  const uint64_t count = grid.threads.Count();
  if (grid.blocks.Count() == 0 || blocks.y > 0xffff || blocks.z > 0xffff || count == 0 ||
      count > 1024 || (k.max_threads > 0 && count > static_cast<uint64_t>(k.max_threads)) ||
      shared_bytes > static_cast<size_t>(f.dynamic_shared_bytes))
    return Result(cudaErrorInvalidConfiguration);
  grid.parameters.resize(static_cast<size_t>(k.parameter_bytes));
  for (size_t n = 0; n < k.parameters.size(); ++n)
    std::memcpy(grid.parameters.data() + k.parameters[n].offset, arguments[n],
                static_cast<size_t>(k.parameters[n].bytes));
  return Do(Of(stream), [grid] { Run(grid); });
}

}  // extern "C"

// The device.

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = kProcessors;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = kSharedLimit;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    default:
      Stop("attribute %d of the device", static_cast<int>(attribute));
  }
}
cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  const Lock lock;
  *total = kDeviceBytes;
  *available = kDeviceBytes - std::min(kDeviceBytes, AllocatedBytes());
  return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t e) {
  switch (e) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    default:
      return "unknown error";
  }
}
cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** f, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  const bool known = std::string(name) == "cuTensorMapEncodeTiled";
  *f = known ? reinterpret_cast<void*>(&EncodeTensorMap) : nullptr;
  *found = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

// Kernels.

cudaError_t cudaFuncSetAttribute(const void* host, cudaFuncAttribute attribute, int value) {
  const Lock lock;
  Function& f = FunctionAt(host);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize ||
      value + KernelOf(f).static_shared_bytes > kSharedLimit)
    return Result(cudaErrorInvalidValue);
  f.dynamic_shared_bytes = value;
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* host) {
  const Lock lock;
  *attributes = {};
  attributes->sharedSizeBytes = static_cast<size_t>(KernelOf(FunctionAt(host)).static_shared_bytes);
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int,
                                                                   size_t shared_bytes, unsigned) {
  *blocks = shared_bytes > kSharedLimit / 2 ? 1 : 2;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* host,
                                                          int threads, size_t shared_bytes) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, host, threads, shared_bytes,
                                                                0);
}

// Memory.

cudaError_t cudaMalloc(void** p, size_t bytes) {
  const Lock lock;
  if (AnyCaptured()) return Result(cudaErrorStreamCaptureUnsupported);
  if (AllocatedBytes() + bytes > kDeviceBytes) return Result(cudaErrorMemoryAllocation);
  *p = AllocateDevice(bytes, /*managed=*/false);
  return cudaSuccess;
}
cudaError_t cudaMallocManaged(void** p, size_t bytes, unsigned) {
  const Lock lock;
  *p = AllocateDevice(bytes, /*managed=*/true);
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  const Lock lock;
  if (AnyCaptured()) return Result(cudaErrorStreamCaptureUnsupported);
  FinishAll();
  if (p != nullptr) FreeDevice(p);
  return cudaSuccess;
}
// In what is captured, memory has one place for ever.
cudaError_t cudaMallocAsync(void** p, size_t bytes, cudaStream_t) {
  const Lock lock;
  *p = AllocateDevice(bytes, /*managed=*/false);
  return cudaSuccess;
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {
  const Lock lock;
  if (Of(stream).captured != nullptr) return cudaSuccess;
  return Do(Of(stream), [p] { FreeDevice(p); });
}
cudaError_t cudaMallocHost(void** p, size_t bytes) {
  const Lock lock;
  *p = std::malloc(bytes);
  The().pinned[static_cast<uint8_t*>(*p)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
  const Lock lock;
  FinishAll();
  The().pinned.erase(static_cast<uint8_t*>(p));
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t*, int) {
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  const Lock lock;
  if (!IsDevice(p)) return Result(cudaErrorInvalidValue);
  return Do(Of(stream), [=] { std::memset(Reach(p, bytes), value, bytes); });
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const Lock lock;
  const bool to_device = kind != cudaMemcpyDeviceToHost,
             from_device = kind != cudaMemcpyHostToDevice;
  if ((to_device && !IsDevice(to)) || (from_device && !IsDevice(from)))
    return Result(cudaErrorInvalidValue);
  Stream& s = Of(stream);
  // kernels.h has no copies from and to the host in what is recorded.
  if (s.captured != nullptr && !(to_device && from_device))
    return Result(cudaErrorStreamCaptureUnsupported);
  const auto copy = [=] { std::memmove(Reach(to, bytes), Reach(from, bytes), bytes); };
  // Memory that is not pinned is read and written before the call returns.
  if ((from_device || IsPinned(from)) && (to_device || IsPinned(to))) return Do(s, copy);
  Finish(s);
  copy();
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const cudaError_t e = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  return e == cudaSuccess ? cudaStreamSynchronize(nullptr) : e;
}
