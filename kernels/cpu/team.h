#pragma once

// A team of threads that runs one loop at a time: the Stream of the CPU backend.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/kernels.h"

namespace hone::kernels::cpu {

// The caller is a member: a team of T has T - 1 threads of its own. Members spin for about 20 us
// between loops and then sleep. The parts of a loop are fixed, but which member runs one is not: a
// caller whose helpers get no processor runs all parts itself instead of waiting for them.
//
// Thread-safety: one caller at a time.
class Team {
 public:
  // At least one thread; more than 256 are cut to 256.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  // Calls run(context, begin, end) for consecutive parts of [0, n); returns when all have ended.
  void Run(int64_t n, int64_t grain, void (*run)(const void*, int64_t, int64_t),
           const void* context);

 private:
  struct Threads;
  // Claims and runs parts of the current loop until none is left. False: there was none.
  bool Work();
  void Help();

  const int size_;
  int spins_;
  // One loop. Written by the caller before state_ announces it; not written again until all parts
  // have ended.
  void (*run_)(const void*, int64_t, int64_t) = nullptr;
  const void* context_ = nullptr;
  int64_t n_ = 0;
  int64_t parts_ = 0;
  // Loop number << 32 | parts not yet claimed. The number keeps a late member from claiming in the
  // next loop by what it read of this one.
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<int> unfinished_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<int> wake_{0};
  std::atomic<bool> stop_{false};
  std::unique_ptr<Threads> threads_;
};

// Calls f(begin, end) for consecutive parts of [0, n), at least `grain` long when n is; on the
// calling thread alone when there is one part or no team.
template <typename F>
void ParallelFor(Stream stream, int64_t n, int64_t grain, const F& f) {
  if (n <= 0) return;
  Team* team = static_cast<Team*>(stream);
  if (team == nullptr || team->size() == 1 || n <= grain) return f(0, n);
  team->Run(
      n, grain,
      [](const void* context, int64_t begin, int64_t end) {
        (*static_cast<const F*>(context))(begin, end);
      },
      &f);
}

// Rows per part such that a part is worth waking somebody: `work` is the cost of a row in elements
// touched.
inline int64_t RowGrain(int64_t work) {
  constexpr int64_t kWorth = 16384;
  return work >= kWorth ? 1 : kWorth / (work + 1) + 1;
}

// Memory of the calling thread, aligned to 64, uninitialised, valid until its next call. Freed with
// the thread.
void* Scratch(size_t bytes);

}  // namespace hone::kernels::cpu
