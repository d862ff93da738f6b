#pragma once

// What the code scorers of a process share: the sandbox and the compiler.

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "libs/reward/code/compiler.h"
#include "libs/sandbox/sandbox.h"

namespace hone::code {

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

 private:
  sandbox::Sandbox& sandbox_;
  Compiler compiler_;
  std::timed_mutex pairing_;
};

}  // namespace hone::code
