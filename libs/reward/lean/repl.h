#pragma once

// Lean REPLs (https://github.com/leanprover-community/repl) as child processes, and a pool of them.

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/reward/lean/process.h"
#include "libs/reward/lean/reply.h"

namespace hone::lean {

struct ReplOptions {
  // argv, for example {"lake", "exe", "repl"}, its directory (a Lake project with Mathlib) and
  // environment; memory for each process.
  ProcessOptions process;
  int64_t max_reply_bytes = int64_t{16} << 20;
};

// What a REPL is asked to do.
struct Command {
  std::string text;            // Lean source
  std::optional<int64_t> env;  // after which to run it; none: a new environment
  bool discard = false;        // the environment that it makes is not needed ("gc")
};

// One process. Used by one thread at a time. After an error it is dead. Errors:
//   UNAVAILABLE         it cannot be started
//   DEADLINE_EXCEEDED   no reply in time
//   RESOURCE_EXHAUSTED  it ran out of memory
//   ABORTED             it ended
//   OUT_OF_RANGE        the reply is longer than the limit
//   DATA_LOSS           what it says is no reply
class Repl {
 public:
  static absl::StatusOr<std::unique_ptr<Repl>> Start(const ReplOptions& options);

  absl::StatusOr<Reply> Run(const Command& command, TimePoint deadline);
  // Writes environment `env` to `path`, as far as it differs from what it imports.
  absl::Status Pickle(int64_t env, const std::string& path, TimePoint deadline);
  // Imports, then has the kernel check every declaration of the file again. The environment.
  absl::StatusOr<int64_t> Unpickle(const std::string& path, TimePoint deadline);
  // Any JSON object, for those who know the protocol.
  absl::StatusOr<Reply> RunJson(absl::string_view json, TimePoint deadline);

  // False after an error, or when it has ended since.
  bool Alive();

 private:
  explicit Repl(const ReplOptions& options) : frames_(options.max_reply_bytes) {}
  absl::StatusOr<std::string> ReadFrame(absl::string_view input, TimePoint deadline);
  absl::Status Died();

  std::unique_ptr<Process> process_;
  FrameReader frames_;
  bool failed_ = false;
};

struct PoolOptions {
  ReplOptions repl;
  int processes = 2;   // at once
  int max_uses = 200;  // environments add up in a process: then it is replaced
  // How long a header may take: importing Mathlib reads gigabytes the first time.
  Duration header_timeout = std::chrono::minutes(3);
};

// REPLs that have run a header, kept for the next proof with the same one. Thread-safe.
class ReplPool {
 public:
  // A REPL in somebody's hands. Goes back to the pool, or is ended when it died or was used up.
  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Repl& repl() { return *pool_->slots_[slot_].repl; }
    int64_t env() const { return pool_->slots_[slot_].env; }     // after the header
    bool used() const { return pool_->slots_[slot_].uses > 1; }  // by somebody before
    // Not to be used again.
    void Discard() { pool_->slots_[slot_].uses = pool_->options_.max_uses; }

   private:
    friend class ReplPool;
    Lease(ReplPool* pool, size_t slot) : pool_(pool), slot_(slot) {}
    ReplPool* pool_;
    size_t slot_;
  };

  // `options.processes`, `max_uses` >= 1.
  explicit ReplPool(PoolOptions options);

  // Waits for a free REPL, prefers one that has run `header`, else starts one, in the place of the
  // one that was idle longest. UNAVAILABLE: none was free or ready before `deadline`, or it died of
  // the header; INVALID_ARGUMENT: Lean refuses the header.
  absl::StatusOr<Lease> Acquire(const std::string& header, TimePoint deadline);

  struct Counts {
    int64_t started = 0;  // processes that ran a header
    int64_t reused = 0;   // leases without one
  };
  Counts counts() const;

 private:
  struct Slot {
    // Its holder's while `busy`, else the pool's.
    std::unique_ptr<Repl> repl;
    std::string header;
    int64_t env = 0;
    int uses = 0;
    // The pool's.
    bool busy = false;
    int64_t returned = 0;  // when, in returns
  };
  // The slot to take for `header`, or none.
  std::optional<size_t> Choose(const std::string& header) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Prepare(Slot& slot, const std::string& header, TimePoint deadline);
  void Return(size_t slot);

  const PoolOptions options_;
  mutable Mutex mu_;
  std::condition_variable returned_;
  std::vector<Slot> slots_;
  int64_t returns_ ABSL_GUARDED_BY(mu_) = 0;
  Counts counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hone::lean
