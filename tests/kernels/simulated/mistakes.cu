#include <utility>

#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/mma.cuh"
#include "tests/kernels/simulated/mistakes.h"

namespace hone::simulated {
namespace {

using namespace hone::kernels::cuda;  // NOLINT: what the kernels consist of

struct Output {
  float* floats = nullptr;
  Output() {
    cudaMalloc(reinterpret_cast<void**>(&floats), 4096);
    cudaMemsetAsync(floats, 0, 4096, nullptr);
  }
  ~Output() { cudaFree(floats); }
};

template <typename... Parameters>
cudaError_t RunOn(int blocks, int threads, void (*kernel)(Parameters...), Parameters... arguments) {
  kernel<<<blocks, threads>>>(arguments...);
  const cudaError_t e = cudaGetLastError();
  return e == cudaSuccess ? cudaDeviceSynchronize() : e;
}

// Threads.

__global__ void Shift(float* out, bool right) {
  __shared__ float memory[64];
  memory[threadIdx.x] = 1;
  if (right) __syncthreads();
  out[threadIdx.x] = memory[(threadIdx.x + 32) % 64];
}
cudaError_t NoBarrier(bool right) {
  return RunOn(1, 64, &Shift, Output().floats, right);
}

__global__ void WriteAgain(float* out, bool right) {
  __shared__ float memory[64];
  memory[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = memory[(threadIdx.x + 32) % 64];
  if (right) __syncthreads();
  memory[threadIdx.x] = 2;
}
cudaError_t NoBarrierAfterReads(bool right) {
  return RunOn(1, 64, &WriteAgain, Output().floats, right);
}

__global__ void ShuffleFrom(float* out, int lane) {
  if (threadIdx.x < 20) out[threadIdx.x] = __shfl_sync(0xfffff, 1.0f, lane);
}
cudaError_t ShuffleFromOutside(bool right) {
  return RunOn(1, 32, &ShuffleFrom, Output().floats, right ? 19 : 25);
}

__global__ void ShuffleAll(float* out, int lanes) {
  if (static_cast<int>(threadIdx.x) < lanes)
    out[threadIdx.x] = __shfl_xor_sync(0xffffffff, 1.0f, 1);
}
cudaError_t ShuffleOfTheGone(bool right) {
  return RunOn(1, 32, &ShuffleAll, Output().floats, right ? 32 : 20);
}

// Memory of the device.

__global__ void LoadFour(float* out, int from) {
  const float4 x = *reinterpret_cast<const float4*>(out + from);
  out[threadIdx.x] = x.x + x.y + x.z + x.w;
}
cudaError_t Misaligned(bool right) {
  return RunOn(1, 1, &LoadFour, Output().floats, right ? 4 : 5);
}
cudaError_t OutOfMemory(bool right) {
  return RunOn(1, 1, &LoadFour, Output().floats, right ? 1020 : 1024);
}
cudaError_t AfterItWasFreed(bool right) {
  Output out;
  float* const floats = out.floats;
  if (!right) cudaFree(std::exchange(out.floats, nullptr));
  return RunOn(1, 1, &LoadFour, floats, 0);
}
cudaError_t MemoryOfTheHost(bool right) {
  alignas(16) float host[4] = {};
  return RunOn(1, 1, &LoadFour, right ? Output().floats : host, 0);
}

__global__ void WriteOwn(float* out, bool right) {
  out[right ? blockIdx.x : 0] = 1;
}
cudaError_t BlocksThatWriteTheSame(bool right) {
  return RunOn(3, 1, &WriteOwn, Output().floats, right);
}
__global__ void ReadOther(float* out, bool right) {
  out[blockIdx.x] = out[right ? blockIdx.x : (blockIdx.x + 1) % gridDim.x];
}
cudaError_t BlocksThatReadEachOther(bool right) {
  return RunOn(3, 1, &ReadOther, Output().floats, right);
}

__global__ void IndexShared(float* out, int at) {
  __shared__ float memory[32];
  memory[threadIdx.x] = 1;
  __syncwarp();
  out[threadIdx.x] = memory[static_cast<int>(threadIdx.x) + at];
}
cudaError_t OutOfShared(bool right) {
  return RunOn(1, 32, &IndexShared, Output().floats, right ? 0 : 1);
}

__global__ void Big(float* out) {
  DynamicShared<float>()[threadIdx.x] = 1;
  out[threadIdx.x] = DynamicShared<float>()[threadIdx.x];
}
cudaError_t TooMuchShared(bool right) {
  const Output out;
  Big<<<1, 32, right ? 48 << 10 : 49 << 10>>>(out.floats);
  const cudaError_t e = cudaGetLastError();
  return e == cudaSuccess ? cudaDeviceSynchronize() : e;
}
cudaError_t TooManyThreads(bool right) {
  return RunOn(1, right ? 1024 : 1025, &WriteOwn, Output().floats, false);
}

// Copies and products.

__global__ void CopyInto(float* out, bool right) {
  __shared__ __align__(128) float memory[128];
  CopyAsync16(memory + 4 * threadIdx.x, out + 512 + 4 * threadIdx.x, 16);
  CommitCopies();
  if (right) WaitCopies<0>();
  __syncthreads();
  // Zeros, unless the copies are still under way.
  if (memory[threadIdx.x] != 0) __trap();
}
cudaError_t CopiesNotAwaited(bool right) {
  const Output out;
  cudaError_t e = cudaSuccess;
  for (int n = 0; n < 20 && e == cudaSuccess; ++n)  // some are fast
    e = RunOn(1, 32, &CopyInto, out.floats, right);
  return e;
}

enum class Wrong { kNothing, kNoWait, kParity, kBytes, kNoBarrierBefore };
__global__ void LoadTile(const __grid_constant__ TensorMap map, float* out, Wrong wrong) {
#if HONE_HOPPER
  __shared__ __align__(1024) uint16_t tile[64 * 64];
  __shared__ uint64_t barrier;
  if (threadIdx.x == 0) {
    InitBarrier(&barrier, 1);
    PublishBarriers();
  }
  tile[threadIdx.x] = 1;
  if (wrong != Wrong::kNoBarrierBefore) __syncthreads();
  if (threadIdx.x == 0) {
    ArriveExpecting(&barrier, wrong == Wrong::kBytes ? sizeof(tile) + 16 : sizeof(tile));
    LoadTensor(tile, &map, 0, 0, 0, &barrier);
  }
  __syncthreads();
  if (wrong != Wrong::kNoWait) WaitPhase(&barrier, wrong == Wrong::kParity ? 1 : 0);
  out[threadIdx.x] = tile[threadIdx.x];
#else
  NotBuiltForHopper();
#endif
}
template <Wrong kWrong>
cudaError_t TensorCopy(bool right) {
  void* from = nullptr;
  cudaMalloc(&from, 64 * 64 * 2);
  TensorMap map;
  if (MakeTensorMap(&map, from, 64, 64, 1, 64, 0, 64) != nullptr) return cudaErrorInvalidValue;
  return RunOn(1, 64, &LoadTile, map, Output().floats, right ? Wrong::kNothing : kWrong);
}

enum class Missing { kNothing, kFence, kWait, kBarrier };
// Products of ones, whose operand is written by other threads than read it, and then overwritten.
__global__ void MultiplyOnes(float* out, Missing missing) {
#if HONE_HOPPER
  __shared__ __align__(1024) uint16_t a[64 * 64], b[64 * 64];
  for (int i = static_cast<int>(threadIdx.x); i < 64 * 64; i += 128) a[i] = b[i] = 0x3f80;
  if (missing != Missing::kFence) PublishWrites();
  if (missing != Missing::kBarrier) __syncthreads();
  float d[1][8][4];
  OpenProducts();
  MultiplyGroup<Lie::kAlongK, Lie::kAlongK>(d, Operand<Lie::kAlongK>(a, 0),
                                            Operand<Lie::kAlongK>(b, 0), false);
  CommitProducts();
  if (missing != Missing::kWait) WaitProducts<0>();
  Settle(d);
  out[threadIdx.x] = d[0][0][0];
  WaitProducts<0>();
  if (out[threadIdx.x] != 16) __trap();
#else
  NotBuiltForHopper();
#endif
}
template <Missing kMissing>
cudaError_t Products(bool right) {
  const Output out;
  cudaError_t e = cudaSuccess;
  for (int n = 0; n < 20 && e == cudaSuccess; ++n)
    e = RunOn(1, 128, &MultiplyOnes, out.floats, right ? Missing::kNothing : kMissing);
  return e;
}

__global__ void Collectives(unsigned* out) {
  const unsigned lane = threadIdx.x % 32, all = 0xffffffff;
  unsigned* const own = out + threadIdx.x * kCollectives;
  own[0] = __shfl_xor_sync(all, lane, 5);
  own[1] = __shfl_up_sync(all, lane, 3, 16);
  own[2] = __shfl_down_sync(all, lane, 3, 16);
  own[3] = __shfl_sync(all, lane, 9, 8);
  own[4] = __ballot_sync(all, lane % 3 == 0);
  own[5] = static_cast<unsigned>(__any_sync(all, lane == 40));
  own[6] = static_cast<unsigned>(__reduce_min_sync(all, static_cast<int>(lane) - 7));
  own[7] = static_cast<unsigned>(__syncthreads_or(threadIdx.x == 40));
}

}  // namespace

void RunCollectives(unsigned* out) {
  Collectives<<<1, 64>>>(out);
}

const std::vector<Mistake>& Mistakes() {
  static const std::vector<Mistake> mistakes = {
      {"no barrier between a write and a read", "race at byte", NoBarrier},
      {"no barrier between a read and a write", "race at byte", NoBarrierAfterReads},
      {"a shuffle from a lane outside its mask", "a shuffle from lane 25", ShuffleFromOutside},
      {"a shuffle of lanes that are gone", "names lanes that are gone", ShuffleOfTheGone},
      {"a misaligned load", "misaligned: 16 bytes at", Misaligned},
      {"a load behind the end", "are not device memory that is allocated", OutOfMemory},
      {"a load after free", "are not device memory that is allocated", AfterItWasFreed},
      {"a load of host memory", "are not device memory that is allocated", MemoryOfTheHost},
      {"blocks that write the same", "in the same launch", BlocksThatWriteTheSame},
      {"blocks that read each other's", "in the same launch", BlocksThatReadEachOther},
      {"a load behind shared memory", "the block has 128 bytes", OutOfShared},
      {"copies that nobody awaits", "trap", CopiesNotAwaited},
      {"a tensor copy that nobody awaits", "by tensor copies", TensorCopy<Wrong::kNoWait>},
      {"a wait for the other phase", "LoadTile", TensorCopy<Wrong::kParity>},
      {"a barrier that expects too many bytes", "is stuck", TensorCopy<Wrong::kBytes>},
      {"a tensor copy over what is written", "race at byte", TensorCopy<Wrong::kNoBarrierBefore>},
      {"no fence between a write and a product", "nobody fenced", Products<Missing::kFence>},
      {"no barrier between a write and a product", "race at byte", Products<Missing::kBarrier>},
      {"a product that nobody awaits", "trap", Products<Missing::kWait>},
      {"too much shared memory", nullptr, TooMuchShared},
      {"too many threads", nullptr, TooManyThreads},
  };
  return mistakes;
}

}  // namespace hone::simulated
