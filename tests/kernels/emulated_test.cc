// What the emulation of CUDA must refuse, and what it must not hide.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <string>

#include "tests/kernels/emulated/kernels/cuda/launch.cuh"
#include "tests/testing/test.h"

namespace hone::kernels::cuda {
namespace {

// What a process that does `f` prints to stderr; "" unless it aborts.
std::string Death(const std::function<void()>& f) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    // Catch2's handler of SIGABRT would print, too.
    signal(SIGABRT, SIG_DFL);
    dup2(ends[1], 2);
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[512];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof(buffer))) > 0;) text.append(buffer, n);
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? text : "";
}

bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

void MissedBarrier(int) {
  if (threadIdx.x != 7) __syncthreads();
}
void TwoBarriers(int) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
void MissedLane(float* out) {
  if (threadIdx.x < 20) out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}
void LaneOutside(float* out) {
  if (threadIdx.x < 20) out[threadIdx.x] = __shfl_sync(0x000fffffu, 1.0f, 25);
}
void TooMuchShared(float* out) {
  HONE_SHARED(float, big, [13000]);
  big[threadIdx.x] = 0;
  out[threadIdx.x] = big[threadIdx.x];
}

TEST_CASE("the emulation stops at what CUDA leaves undefined", "[kernels]") {
  float out[64];
  const auto death = [&](auto kernel, int threads, auto argument) {
    return Death([&] { Launch("broken", kernel, 1, threads, 0, nullptr, argument); });
  };
  const std::string missed = death(MissedBarrier, 64, 0);
  CHECK(Contains(missed, "broken: block (0, 0, 0) is stuck"));
  CHECK(Contains(missed, "63 threads"));
  CHECK(Contains(missed, "a barrier, "));
  CHECK(Contains(missed, "1 threads (first 7, last 7) have returned"));
  CHECK(Contains(death(TwoBarriers, 64, 0), "a barrier while others wait at that of"));
  CHECK(Contains(death(MissedLane, 32, +out), "wait at __shfl_xor_sync"));
  CHECK(Contains(death(LaneOutside, 32, +out), "a shuffle from a lane that its mask leaves out"));
  CHECK(Contains(death(TooMuchShared, 32, +out), "too much shared memory"));
  CHECK(Contains(death(MissedBarrier, 1025, 0), "a block of no or too many threads"));
}

void ReadsFirst(float* out) {
  HONE_SHARED(float, memory, [64]);
  out[threadIdx.x] = memory[threadIdx.x] + DynamicShared<float>()[threadIdx.x];
}

TEST_CASE("shared memory of a block is not a number until it is written", "[kernels]") {
  for (int launch = 0; launch < 2; ++launch) {
    float out[64] = {};
    REQUIRE(Launch("reads first", ReadsFirst, 2, 64, 256, nullptr, +out) == nullptr);
    for (float x : out) CHECK(std::isnan(x));
  }
}

// out[i] = i + 1 with the barrier; without it, what a neighbour has written depends on the order.
void Shift(float* out, bool barrier) {
  HONE_SHARED(float, memory, [64]);
  memory[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (barrier) __syncthreads();
  out[threadIdx.x] = memory[(threadIdx.x + 1) % 64];
}

TEST_CASE("a missing barrier shows as other bits in the next launch", "[kernels]") {
  for (bool barrier : {true, false}) {
    float a[64], b[64];
    REQUIRE(Launch("shift", Shift, 1, 64, 0, nullptr, +a, barrier) == nullptr);
    REQUIRE(Launch("shift", Shift, 1, 64, 0, nullptr, +b, barrier) == nullptr);
    CHECK((std::memcmp(a, b, sizeof(a)) == 0) == barrier);
  }
}

void Collectives(unsigned* out) {
  const unsigned lane = threadIdx.x % 32, all = 0xffffffffu;
  unsigned* own = out + threadIdx.x * 8;
  own[0] = __shfl_xor_sync(all, lane, 5);
  own[1] = __shfl_up_sync(all, lane, 3, 16);
  own[2] = __shfl_down_sync(all, lane, 3, 16);
  own[3] = __shfl_sync(all, lane, 9, 8);
  own[4] = __ballot_sync(all, lane % 3 == 0);
  own[5] = __reduce_add_sync(all, lane);
  own[6] = __match_any_sync(all, lane / 8);
  own[7] = static_cast<unsigned>(__syncthreads_count(threadIdx.x >= 10));
}

TEST_CASE("collectives of a warp mean what CUDA says", "[kernels]") {
  unsigned out[64 * 8];
  REQUIRE(Launch("collectives", Collectives, 1, 64, 0, nullptr, +out) == nullptr);
  for (unsigned t = 0; t < 64; ++t) {
    const unsigned lane = t % 32, *own = out + t * 8;
    CHECK(own[0] == (lane ^ 5));
    CHECK(own[1] == (lane % 16 < 3 ? lane : lane - 3));
    CHECK(own[2] == (lane % 16 > 12 ? lane : lane + 3));
    CHECK(own[3] == lane / 8 * 8 + 1);
    CHECK(own[4] == 0x49249249u);
    CHECK(own[5] == 31 * 16);
    CHECK(own[6] == 0xffu << lane / 8 * 8);
    CHECK(own[7] == 54);
  }
}

}  // namespace
}  // namespace hone::kernels::cuda
