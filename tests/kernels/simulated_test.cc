// The simulated GPU itself: what it must refuse, what it must not hide, and that it does what CUDA
// says.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/kernels/memory.h"
#include "tests/kernels/simulated/mistakes.h"
#include "tests/testing/test.h"

namespace hone::simulated {
namespace {

struct End {
  std::string text;  // on stderr
  int status = 0;    // of waitpid
};

// What comes of `run` in a process of its own, whose exit status is what it returns.
template <typename F>
End EndOf(const F& run) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    for (int s : {SIGABRT, SIGSEGV}) signal(s, SIG_DFL);  // Catch2's handlers would print, too.
    dup2(ends[1], 2);
    _exit(run());
  }
  close(ends[1]);
  End end;
  char buffer[512];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof(buffer))) > 0;) end.text.append(buffer, n);
  close(ends[0]);
  REQUIRE(waitpid(child, &end.status, 0) == child);
  return end;
}

TEST_CASE("the simulated GPU stops at what CUDA leaves undefined", "[kernels]") {
  for (const Mistake& m : Mistakes()) {
    INFO(m.name);
    const auto run = [&m](bool right) {
      return EndOf([&] { return static_cast<int>(m.run(right)); });
    };
    const End good = run(true), bad = run(false);
    CHECK(good.text == "");
    CHECK(good.status == 0);
    INFO(bad.text);
    if (m.message == nullptr) {
      CHECK(WIFEXITED(bad.status));
      CHECK(WEXITSTATUS(bad.status) == cudaErrorInvalidConfiguration);
    } else {
      CHECK(WIFSIGNALED(bad.status));
      CHECK(bad.text.find("simulated GPU: ") != std::string::npos);
      CHECK(bad.text.find(m.message) != std::string::npos);
    }
  }
}

TEST_CASE("collectives of a warp mean what CUDA says", "[kernels]") {
  kernels::testing::SharedVector<unsigned> out(64 * kCollectives);
  RunCollectives(out.data());
  kernels::testing::Synchronize();
  for (unsigned t = 0; t < 64; ++t) {
    const unsigned lane = t % 32, *const own = out.data() + t * kCollectives;
    CHECK(own[0] == (lane ^ 5));
    CHECK(own[1] == (lane % 16 < 3 ? lane : lane - 3));
    CHECK(own[2] == (lane % 16 > 12 ? lane : lane + 3));
    CHECK(own[3] == lane / 8 * 8 + 1);
    CHECK(own[4] == 0x49249249u);
    CHECK(own[5] == 0);
    CHECK(static_cast<int>(own[6]) == -7);
    CHECK(own[7] == 1);
  }
}

TEST_CASE("work of a stream is done when somebody waits for it, and memory is the device's",
          "[kernels]") {
  void *device = nullptr, *pinned = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  REQUIRE(cudaMalloc(&device, 64) == cudaSuccess);
  REQUIRE(cudaMallocHost(&pinned, 64) == cudaSuccess);
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
  auto* const bytes = static_cast<uint8_t*>(pinned);
  bytes[0] = 1;
  const auto copy_back = [&] {
    return cudaMemcpyAsync(pinned, device, 1, cudaMemcpyDeviceToHost, stream);
  };
  REQUIRE(cudaMemsetAsync(device, 2, 64, stream) == cudaSuccess);
  REQUIRE(copy_back() == cudaSuccess);
  REQUIRE(cudaEventRecord(event, stream) == cudaSuccess);
  REQUIRE(cudaMemsetAsync(device, 3, 64, stream) == cudaSuccess);
  REQUIRE(copy_back() == cudaSuccess);
  CHECK(bytes[0] == 1);
  REQUIRE(cudaEventSynchronize(event) == cudaSuccess);
  CHECK(bytes[0] == 2);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(bytes[0] == 3);
  // What the host writes before the copy takes place is what is copied.
  bytes[0] = 4;
  REQUIRE(cudaMemcpyAsync(device, pinned, 1, cudaMemcpyHostToDevice, stream) == cudaSuccess);
  bytes[0] = 5;
  REQUIRE(copy_back() == cudaSuccess);
  bytes[0] = 6;
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(bytes[0] == 6);

  const End touched = EndOf([&] { return *static_cast<volatile uint8_t*>(device); });
  CHECK(WIFSIGNALED(touched.status));
  CHECK(WTERMSIG(touched.status) == SIGSEGV);

  cudaEventDestroy(event);
  cudaStreamDestroy(stream);
  cudaFreeHost(pinned);
  cudaFree(device);
}

}  // namespace
}  // namespace hone::simulated
