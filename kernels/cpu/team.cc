#include "kernels/cpu/team.h"

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <vector>

namespace hone::kernels::cpu {
namespace {

// About 20 us of `pause` (some 40 ns each on current servers).
constexpr int kSpins = 500;

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

struct Team::Threads {
  std::vector<std::thread> list;
};

Team::Team(int threads)
    : size_(std::clamp(threads, 1, 256)),
      // With more members than processors, spinning only keeps the others from working.
      spins_(std::thread::hardware_concurrency() >= static_cast<unsigned>(size_) ? kSpins : 1),
      threads_(new Threads) {
  for (int i = 1; i < size_; ++i) threads_->list.emplace_back([this] { Help(); });
}

Team::~Team() {
  stop_.store(true);
  wake_.fetch_add(1);
  wake_.notify_all();
  for (std::thread& t : threads_->list) t.join();
}

bool Team::Work() {
  bool any = false;
  uint64_t state = state_.load(std::memory_order_acquire);
  while ((state & 0xffffffff) != 0) {
    if (!state_.compare_exchange_weak(state, state - 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
      continue;
    // The claim holds this loop open: the caller cannot write the fields below before unfinished_
    // is 0.
    const int64_t part = parts_ - static_cast<int64_t>(state & 0xffffffff);
    run_(context_, n_ * part / parts_, n_ * (part + 1) / parts_);
    any = true;
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    state = state_.load(std::memory_order_acquire);
  }
  return any;
}

void Team::Help() {
  while (!stop_.load(std::memory_order_acquire)) {
    for (int i = 0; i < spins_; ++i) {
      if (Work()) i = 0;
      Pause();
    }
    // The order "say that I sleep, read wake_, look again" against "announce, read sleepers_, bump
    // wake_" leaves no gap: either the caller sees a sleeper or the sleeper sees the work.
    sleepers_.fetch_add(1);
    const int seen = wake_.load();
    if ((state_.load() & 0xffffffff) == 0 && !stop_.load()) wake_.wait(seen);
    sleepers_.fetch_sub(1);
  }
}

void Team::Run(int64_t n, int64_t grain, void (*run)(const void*, int64_t, int64_t),
               const void* context) {
  const int64_t parts = std::min<int64_t>(size_, (n + grain - 1) / std::max<int64_t>(grain, 1));
  if (parts <= 1) return run(context, 0, n);
  run_ = run;
  context_ = context;
  n_ = n;
  parts_ = parts;
  unfinished_.store(static_cast<int>(parts), std::memory_order_relaxed);
  const uint64_t loop = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  state_.store(loop << 32 | static_cast<uint64_t>(parts));
  if (sleepers_.load() > 0) {
    wake_.fetch_add(1);
    wake_.notify_all();
  }
  Work();
  for (int i = 0; i < spins_ && unfinished_.load(std::memory_order_acquire) != 0; ++i) Pause();
  for (int left = unfinished_.load(std::memory_order_acquire); left != 0;
       left = unfinished_.load(std::memory_order_acquire))
    unfinished_.wait(left, std::memory_order_acquire);
}

void* Scratch(size_t bytes) {
  struct Block {
    void* data = nullptr;
    size_t size = 0;
    ~Block() { std::free(data); }
  };
  static thread_local Block block;
  if (block.size < bytes) {
    std::free(block.data);
    block.size = (bytes + bytes / 4 + 4095) / 4096 * 4096;
    block.data = std::aligned_alloc(4096, block.size);
    if (block.data == nullptr) std::abort();  // some MB: the process cannot go on anyway
  }
  return block.data;
}

}  // namespace hone::kernels::cpu
