#pragma once

// What cudaStream_t, cudaEvent_t and cudaGraph_t are on the simulated device: lists of work. It is
// done as late as it may be, when somebody waits for it, so that who forgets to wait, or changes
// what is still to be read, notices.

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace hone::simulated {

// One for the whole run-time library.
std::recursive_mutex& Mutex();
struct Lock : std::lock_guard<std::recursive_mutex> {
  Lock() : std::lock_guard<std::recursive_mutex>(Mutex()) {}
};

// What cudaGetLastError gives. Returns `e`.
cudaError_t Result(cudaError_t e);

using Work = std::function<void()>;

struct Stream {
  std::deque<Work> queue;
  uint64_t begun = 0;                     // pieces of work, ever
  std::vector<Work>* captured = nullptr;  // where work goes instead
};

Stream& Of(cudaStream_t stream);
cudaError_t Do(Stream& s, Work work);
void Finish(Stream& s);
void FinishAll();
bool AnyCaptured();

}  // namespace hone::simulated
