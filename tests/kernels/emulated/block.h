#pragma once

// A thread block on the CPU. Each of its threads is a fiber: it runs until it has to wait, then the
// next one that need not wait runs. Blocks run one after the other, all on the calling thread. The
// order changes from launch to launch, so that code which relies on one gives other bits: forwards
// or backwards, with all threads in step or with one warp as far ahead as it gets, and what goes on
// behind a thread's back early or late.
//
// What a GPU leaves undefined ends the program with a message: a barrier that some threads do not
// reach, a shuffle without one of its lanes, a wait for something that nobody will do.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3() = default;
  constexpr dim3(unsigned a, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct uint3 {
  unsigned x, y, z;
};

namespace hone_emulation {

// Where a call stands; the default argument of what may have to complain.
struct Place {
  const char* file = "";
  int line = 0;
  static constexpr Place Here(const char* f = __builtin_FILE(), int l = __builtin_LINE()) {
    return {f, l};
  }
};

// Of the thread that runs.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

// Runs `thread` for every thread of every block.
void RunGrid(const char* name, dim3 grid, dim3 block, size_t dynamic_shared,
             const std::function<void()>& thread);
// Grids of this name so far.
int64_t Launches(const std::string& name);

// The running thread's place in its block, and the number of threads there.
unsigned Rank();
unsigned Threads();
[[noreturn]] void Fail(const char* what, const Place& at);

// Whether what this launch's threads begin, and wait for later, happens at once; else as late as it
// may.
bool Early();

// Lets others run until `ready` says true, and if there are such in any case. `what` is for the
// message when that never happens.
void Wait(const char* what, const Place& at, bool (*ready)(const void*), const void* data);
template <typename F>
void WaitUntil(const char* what, const Place& at, const F& ready) {
  if (!ready())
    Wait(
        what, at, [](const void* f) { return (*static_cast<const F*>(f))(); }, &ready);
}

// Barrier `id` (0 to 15; __syncthreads is 0) of `count` threads. Returns the sum of their values.
int Barrier(int id, unsigned count, int value, const Place& at);

// All lanes of `mask` meet here; returns their values by lane (32), valid until the lane's next
// collective.
const uint64_t* Exchange(unsigned mask, uint64_t value, const char* what, const Place& at);

// The block's variable that belongs to `site`: filled with 0xff when its first thread comes (NaN in
// f32 and bf16, -1 in integers), 128-byte aligned.
void* SharedVariable(const void* site, size_t bytes);
// The block's dynamic shared memory, 1024-byte aligned, and its size.
void* DynamicMemory();
size_t DynamicBytes();

}  // namespace hone_emulation
