#include "tests/kernels/emulated/block.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

// Leaves the stack that runs (its place goes to *from) for another. A system call per switch, as
// swapcontext makes, would take most of the time of a test.
extern "C" void hone_emulation_switch(void** from, void* to);
asm(R"(
.text
.hidden hone_emulation_switch
.globl hone_emulation_switch
.type hone_emulation_switch, @function
hone_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size hone_emulation_switch, . - hone_emulation_switch
)");

namespace hone_emulation {

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace {

constexpr size_t kStack = 256 << 10;
constexpr unsigned kMaxThreads = 1024;
// What a block may have on sm_90: static, and in all.
constexpr size_t kMaxStatic = 48 << 10, kMaxShared = 227 << 10;

struct Thread {
  void* stack = nullptr;  // where it was left
  bool done = false;
  bool (*ready)(const void*) = nullptr;  // null: can run
  const void* data = nullptr;
  const char* what = nullptr;
  Place at;
};

struct Group {  // lanes that meet in collectives
  unsigned mask;
  unsigned arrived = 0;
  uint64_t generation = 0;
  const char* what = nullptr;
  Place at;
  uint64_t values[2][32];
};

struct BarrierState {
  unsigned arrived = 0, count = 0;
  uint64_t generation = 0;
  int sum = 0, last_sum = 0;
  Place at;
};

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<void, Free>;

Memory Poisoned(size_t bytes, size_t alignment) {
  const size_t size = std::max<size_t>(1, (bytes + alignment - 1) / alignment) * alignment;
  Memory m(std::aligned_alloc(alignment, size));
  std::memset(m.get(), 0xff, size);
  return m;
}

struct Block {
  const char* name = "";
  const std::function<void()>* body = nullptr;
  unsigned count = 0, left = 0, current = 0;
  bool reverse = false, ahead = false, early = false;
  Thread threads[kMaxThreads];
  char* stacks = nullptr;
  void* main = nullptr;
  std::vector<Group> groups[kMaxThreads / 32];
  BarrierState barriers[16];
  std::map<const void*, Memory> shared;
  size_t static_bytes = 0, dynamic_bytes = 0;
  Memory dynamic;
};
Block block;
int launches = 0;
std::map<std::string, int64_t> launches_of;

void SetIndex(unsigned i) {
  block.current = i;
  threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
}

std::string Text(const Place& at) {
  return std::string(at.file) + ":" + std::to_string(at.line);
}

[[noreturn]] void Deadlock() {
  std::fprintf(stderr, "emulated CUDA: %s: block (%u, %u, %u) is stuck:\n", block.name, blockIdx.x,
               blockIdx.y, blockIdx.z);
  std::map<std::string, std::vector<unsigned>> where;
  for (unsigned i = 0; i < block.count; ++i) {
    const Thread& t = block.threads[i];
    where[t.done ? "have returned" : std::string("wait at ") + t.what + ", " + Text(t.at)]
        .push_back(i);
  }
  for (const auto& [what, threads] : where)
    std::fprintf(stderr, "  %zu threads (first %u, last %u) %s\n", threads.size(), threads.front(),
                 threads.back(), what.c_str());
  std::abort();
}

// Without marks on its stack, since a thread that is done never returns from here.
#define HONE_NO_MARKS __attribute__((no_sanitize("address")))

// The thread among [first, first + n) that can run and comes next after the current one, which
// comes last; -1: none.
HONE_NO_MARKS int Find(unsigned first, unsigned n) {
  for (unsigned i = 1; i <= n; ++i) {
    const unsigned self = block.current - first;
    const unsigned at = first + (block.reverse ? self + n - i : self + i) % n;
    const Thread& t = block.threads[at];
    if (!t.done && (t.ready == nullptr || t.ready(t.data))) return static_cast<int>(at);
  }
  return -1;
}

// Runs the next thread that can run. `from` receives the place of the stack that runs now.
HONE_NO_MARKS void Next(void** from) {
  int at = -1;
  const unsigned warp = block.current / 32 * 32;
  if (block.ahead) at = Find(warp, std::min(32u, block.count - warp));
  if (at < 0) at = Find(0, block.count);
  if (at < 0) Deadlock();
  Thread& t = block.threads[at];
  t.ready = nullptr;
  if (static_cast<unsigned>(at) == block.current) return;  // what it waited for came true meanwhile
  SetIndex(static_cast<unsigned>(at));
  hone_emulation_switch(from, t.stack);
}

HONE_NO_MARKS void Enter() {
  (*block.body)();
  Thread& t = block.threads[block.current];
  t.done = true;
  void* nowhere;
  if (--block.left == 0) {
    hone_emulation_switch(&nowhere, block.main);
  } else {
    Next(&nowhere);
  }
  std::abort();  // nobody returns to a thread that is done
}

void RunBlock() {
  block.left = block.count;
  for (auto& g : block.groups) g.clear();
  for (BarrierState& b : block.barriers) b = {};
  block.shared.clear();
  block.static_bytes = 0;
  block.dynamic = Poisoned(block.dynamic_bytes, 1024);
  for (unsigned i = 0; i < block.count; ++i) {
    // As if it had called the switch at its very start: six registers, then where to return to.
    auto* top = reinterpret_cast<void**>(block.stacks + (i + 1) * kStack);
    *--top = nullptr;  // keeps the stack aligned as after a call
    *--top = reinterpret_cast<void*>(&Enter);
    for (int r = 0; r < 6; ++r) *--top = nullptr;
    block.threads[i] = Thread{.stack = top};
  }
  SetIndex(block.reverse ? block.count - 1 : 0);
  hone_emulation_switch(&block.main, block.threads[block.current].stack);
}

}  // namespace

void Fail(const char* what, const Place& at) {
  std::fprintf(stderr, "emulated CUDA: %s: block (%u, %u, %u), thread (%u, %u, %u): %s, %s\n",
               block.name, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y,
               threadIdx.z, what, Text(at).c_str());
  std::abort();
}

void RunGrid(const char* name, dim3 grid, dim3 dims, size_t dynamic_shared,
             const std::function<void()>& thread) {
  block.name = name;
  const uint64_t threads = uint64_t{dims.x} * dims.y * dims.z;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  if (threads == 0 || threads > kMaxThreads || dims.z > 64)
    Fail("a block of no or too many threads", Place::Here());
  if (blocks == 0 || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
    Fail("a grid of no or too many blocks", Place::Here());
  if (dynamic_shared > kMaxShared) Fail("too much shared memory", Place::Here());
  if (block.stacks == nullptr)
    block.stacks = static_cast<char*>(mmap(nullptr, kMaxThreads * kStack, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (block.stacks == MAP_FAILED) Fail("no memory for stacks", Place::Here());
  block.body = &thread;
  block.count = static_cast<unsigned>(threads);
  block.reverse = launches % 2 != 0;
  block.ahead = launches % 4 >= 2;
  block.early = launches % 8 >= 4;
  ++launches;
  ++launches_of[name];
  block.dynamic_bytes = dynamic_shared;
  gridDim = grid;
  blockDim = dims;
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t b = block.reverse ? blocks - 1 - i : i;
    blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                static_cast<unsigned>(b / grid.x / grid.y)};
    RunBlock();
  }
}

int64_t Launches(const std::string& name) {
  const auto found = launches_of.find(name);
  return found == launches_of.end() ? 0 : found->second;
}

unsigned Rank() {
  return block.current;
}
unsigned Threads() {
  return block.count;
}

bool Early() {
  return block.early;
}

void Wait(const char* what, const Place& at, bool (*ready)(const void*), const void* data) {
  Thread& t = block.threads[block.current];
  t.ready = ready;
  t.data = data;
  t.what = what;
  t.at = at;
  Next(&t.stack);
}

int Barrier(int id, unsigned count, int value, const Place& at) {
  BarrierState& b = block.barriers[id];
  if (b.arrived == 0) {
    b.count = count;
    b.at = at;
    b.sum = 0;
  }
  if (b.count != count || count > block.count) Fail("a barrier with another number of threads", at);
  if (b.at.line != at.line || std::strcmp(b.at.file, at.file) != 0)
    Fail(("a barrier while others wait at that of " + Text(b.at)).c_str(), at);
  b.sum += value;
  const uint64_t generation = b.generation;
  if (++b.arrived == count) {
    b.arrived = 0;
    b.last_sum = b.sum;
    ++b.generation;
    return b.last_sum;
  }
  WaitUntil("a barrier", at, [&b, generation] { return b.generation != generation; });
  return b.last_sum;
}

const uint64_t* Exchange(unsigned mask, uint64_t value, const char* what, const Place& at) {
  const unsigned lane = block.current % 32, warp = block.current / 32;
  if ((mask >> lane & 1) == 0) Fail("a collective whose mask leaves the caller out", at);
  std::vector<Group>& groups = block.groups[warp];
  if (groups.capacity() < 64) groups.reserve(64);  // references stay
  auto found =
      std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.mask == mask; });
  if (found == groups.end()) {
    if (groups.size() == 64) Fail("more than 64 masks in one warp", at);
    groups.push_back({.mask = mask});
    found = groups.end() - 1;
  }
  Group& g = *found;
  if (g.arrived == 0) {
    g.what = what;
    g.at = at;
  }
  if (g.what != what || g.at.line != at.line)
    Fail((std::string(what) + " while other lanes are at " + g.what + ", " + Text(g.at)).c_str(),
         at);
  const uint64_t generation = g.generation;
  uint64_t* values = g.values[generation % 2];
  values[lane] = value;
  g.arrived |= 1u << lane;
  if (g.arrived == mask) {
    g.arrived = 0;
    ++g.generation;
  } else {
    WaitUntil(what, at, [&g, generation] { return g.generation != generation; });
  }
  return values;
}

void* SharedVariable(const void* site, size_t bytes) {
  Memory& m = block.shared[site];
  if (m == nullptr) {
    m = Poisoned(bytes, 128);
    block.static_bytes += bytes;
    if (block.static_bytes > kMaxStatic || block.static_bytes + block.dynamic_bytes > kMaxShared)
      Fail("too much shared memory", Place::Here());
  }
  return m.get();
}

void* DynamicMemory() {
  return block.dynamic.get();
}
size_t DynamicBytes() {
  return block.dynamic_bytes;
}

}  // namespace hone_emulation
