#pragma once

// Replaces kernels/cuda/launch.cuh when the kernels run on the CPU: a header in this folder goes
// before the one of the same path.

#include <tuple>

#include "kernels/kernels.h"
#include "tests/kernels/emulated/cuda_bf16.h"
#include "tests/kernels/emulated/cuda_runtime.h"

#define HONE_SHARED(type, name, ...)                                  \
  static const char name##_site = 0;                                  \
  auto& name = *static_cast<std::type_identity_t<type __VA_ARGS__>*>( \
      hone_emulation::SharedVariable(&name##_site, sizeof(type __VA_ARGS__)))

namespace hone::kernels::cuda {

template <typename T>
T* DynamicShared() {
  return static_cast<T*>(hone_emulation::DynamicMemory());
}

inline constexpr int64_t kMaxBlocks = 5;
inline constexpr int kSplitKeys = 128;

Error Failure(const char* kernel, cudaError_t error);

template <typename... Parameters, typename... Arguments>
Error Launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
             size_t shared_bytes, Stream, const Arguments&... arguments) {
  const std::tuple<Parameters...> parameters(arguments...);
  hone_emulation::Do([=] {
    hone_emulation::RunGrid(name, grid, block, shared_bytes,
                            [&] { std::apply(kernel, parameters); });
  });
  return nullptr;
}

}  // namespace hone::kernels::cuda
