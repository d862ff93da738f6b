#pragma once

// What the code scorers of a process share: the sandbox and the compiler.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/reward/code/compiler.h"
#include "libs/sandbox/sandbox.h"

namespace hone::code {

// The arguments that run a file of the work folder with node. It does without OpenSSL's
// configuration, but ends where that is there and may not be read, as at the lowest level.
std::vector<std::string> NodeCommand(const std::string& file);

// Thread-safe.
class Host {
 public:
  // `sandbox` must outlive it. `cache_folder` as for Compiler.
  Host(sandbox::Sandbox* sandbox, const std::string& cache_folder)
      : sandbox_(*sandbox), compiler_(sandbox, cache_folder) {}

  sandbox::Sandbox& sandbox() { return sandbox_; }
  Compiler& compiler() { return compiler_; }

  struct Pair {
    std::unique_ptr<sandbox::Session> tester, program;
  };
  // Starts two programs. One caller at a time waits for its second slot, so that callers which hold
  // one slot each cannot wait for each other; the sandbox needs at least two. Errors as
  // Sandbox::Start.
  absl::StatusOr<Pair> StartPair(const sandbox::Task& tester, const sandbox::Task& program,
                                 TimePoint deadline);

  // What a tester made of `tests` before it met the program, as a value (wire.h): parsing and
  // compiling them takes as long as running them, and the completions of a group share them. "N"
  // where nothing is kept.
  std::string Prepared(const std::string& tests) const;
  void KeepPrepared(const std::string& tests, std::string prepared);

 private:
  static constexpr size_t kMostPrepared = size_t{64} << 20;  // bytes; then all are forgotten

  sandbox::Sandbox& sandbox_;
  Compiler compiler_;
  std::timed_mutex pairing_;
  mutable Mutex mu_;
  std::map<std::string, std::string> prepared_ ABSL_GUARDED_BY(mu_);  // by tests
  size_t prepared_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hone::code
