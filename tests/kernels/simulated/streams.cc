#include "tests/kernels/simulated/streams.h"

#include <algorithm>
#include <set>
#include <utility>

#include "tests/kernels/simulated/program.h"

namespace hone::simulated {
namespace {

cudaError_t last_error = cudaSuccess;

std::set<Stream*>& Streams() {
  static std::set<Stream*>& streams = *new std::set<Stream*>{new Stream};
  return streams;
}
Stream& Default() {
  static Stream& s = **Streams().begin();
  return s;
}

// Work that was recorded.
using Graph = std::vector<Work>;
// How far a stream was when it recorded the event.
struct Event {
  Stream* stream = nullptr;
  uint64_t end = 0;
};

void FinishUntil(Stream& s, uint64_t end) {
  while (!s.queue.empty() && s.begun < end) {
    const Work work = std::move(s.queue.front());
    s.queue.pop_front();
    ++s.begun;
    work();
  }
}

}  // namespace

std::recursive_mutex& Mutex() {
  static std::recursive_mutex& mutex = *new std::recursive_mutex;
  return mutex;
}
cudaError_t Result(cudaError_t e) {
  if (e != cudaSuccess) last_error = e;
  return e;
}
Stream& Of(cudaStream_t stream) {
  if (stream == nullptr) return Default();
  Stream* const s = reinterpret_cast<Stream*>(stream);
  if (!Streams().contains(s)) Stop("a stream that is not there");
  return *s;
}
cudaError_t Do(Stream& s, Work work) {
  if (s.captured != nullptr) {
    s.captured->push_back(std::move(work));
  } else {
    s.queue.push_back(std::move(work));
  }
  return cudaSuccess;
}
void Finish(Stream& s) {
  FinishUntil(s, s.begun + s.queue.size());
}
void FinishAll() {
  for (Stream* s : Streams()) Finish(*s);
}
bool AnyCaptured() {
  return std::any_of(Streams().begin(), Streams().end(),
                     [](const Stream* s) { return s->captured != nullptr; });
}

}  // namespace hone::simulated

using namespace hone::simulated;  // NOLINT: what follows has the names of CUDA

cudaError_t cudaGetLastError() {
  const Lock lock;
  return std::exchange(last_error, cudaSuccess);
}
cudaError_t cudaDeviceSynchronize() {
  const Lock lock;
  FinishAll();
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const Lock lock;
  *stream = reinterpret_cast<cudaStream_t>(*Streams().insert(new Stream).first);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock;
  Stream& s = Of(stream);
  Finish(s);
  Streams().erase(&s);
  delete &s;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock;
  if (Of(stream).captured != nullptr) return Result(cudaErrorStreamCaptureUnsupported);
  Finish(Of(stream));
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const Lock lock;
  if (stream == nullptr || Of(stream).captured != nullptr)
    return Result(cudaErrorStreamCaptureUnsupported);
  Of(stream).captured = new Graph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Lock lock;
  *graph = reinterpret_cast<cudaGraph_t>(std::exchange(Of(stream).captured, nullptr));
  return *graph == nullptr ? Result(cudaErrorInvalidValue) : cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  *made = reinterpret_cast<cudaGraphExec_t>(new Graph(*reinterpret_cast<Graph*>(graph)));
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t made) {
  delete reinterpret_cast<Graph*>(made);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t made, cudaStream_t stream) {
  const Lock lock;
  Stream& s = Of(stream);
  if (s.captured != nullptr) return Result(cudaErrorStreamCaptureUnsupported);
  for (const auto& work : *reinterpret_cast<const Graph*>(made)) s.queue.push_back(work);
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock;
  Stream& s = Of(stream);
  if (s.captured != nullptr) return Result(cudaErrorStreamCaptureUnsupported);
  *reinterpret_cast<Event*>(event) = {&s, s.begun + s.queue.size()};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock;
  const Event& e = *reinterpret_cast<const Event*>(event);
  if (e.stream != nullptr && Streams().contains(e.stream)) FinishUntil(*e.stream, e.end);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete reinterpret_cast<Event*>(event);
  return cudaSuccess;
}
