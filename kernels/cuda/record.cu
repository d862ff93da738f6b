// Work that is kept and done again: CUDA graphs. A call of a kernel costs the host 2 to 3 us, which is more than most kernels
// of a decoding step take; a graph of some hundred costs about as much as five calls.

#include "kernels/cuda/cuda.cuh"

namespace hone::kernels::cuda {

Error Record(Stream stream) {
  // Other threads go on allocating.
  return Failure("cudaStreamBeginCapture",
                 cudaStreamBeginCapture(static_cast<cudaStream_t>(stream), cudaStreamCaptureModeThreadLocal));
}

Error Recorded(Stream stream, Recording* out) {
  cudaGraph_t graph = nullptr;
  if (const Error e =
          Failure("cudaStreamEndCapture", cudaStreamEndCapture(static_cast<cudaStream_t>(stream), &graph));
      e != nullptr)
    return e;
  cudaGraphExec_t made = nullptr;
  const Error e = Failure("cudaGraphInstantiate", cudaGraphInstantiate(&made, graph, 0));
  cudaGraphDestroy(graph);
  *out = made;
  return e;
}

Error Replay(Recording recording, Stream stream) {
  return Failure("cudaGraphLaunch",
                 cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording), static_cast<cudaStream_t>(stream)));
}

void Forget(Recording recording) {
  // What still runs is not disturbed.
  if (recording != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(recording));
}

}  // namespace hone::kernels::cuda
