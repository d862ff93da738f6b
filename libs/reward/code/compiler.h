#pragma once

// g++ inside the sandbox, with a precompiled header and a cache of what it made.

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/reward/code/judgement.h"
#include "libs/sandbox/sandbox.h"

namespace hone::code {

// What became of a source text.
struct Compiled {
  bool ok = false;
  std::string program;  // where ok: an ELF program, dynamically linked
  Failure failure;      // else; COMPILE_ERROR, or what else ended the compiler
};

// Thread-safe. Sources are compiled as GNU C++17 at -O1 with <bits/stdc++.h>, runtime/values.h and
// runtime/bridge.h included first.
class Compiler {
 public:
  static constexpr int64_t kCacheBytes = int64_t{256} << 20;  // of sources and programs

  // `sandbox` must outlive it. The precompiled header (120 MB) is made on first use and kept in
  // `cache_folder`, which must be among the folders that sandboxed programs may read; where it is
  // empty, cannot be written or cannot be read from inside, compilation takes several times longer.
  Compiler(sandbox::Sandbox* sandbox, std::string cache_folder)
      : sandbox_(*sandbox), cache_folder_(std::move(cache_folder)) {}

  // From the cache, where the very same text was compiled before; two callers with the same text
  // compile it once. Errors are of the sandbox, as Sandbox::Run; they are not remembered, and
  // neither is a compiler that ran into a limit.
  absl::StatusOr<std::shared_ptr<const Compiled>> Compile(const std::string& source,
                                                          TimePoint deadline);

  // Whether sources are compiled with the precompiled header; makes it if that was not tried yet.
  bool precompiled(TimePoint deadline);

  struct Stats {
    int64_t hits = 0, misses = 0;
  };
  Stats stats() const;

 private:
  struct Entry {
    std::timed_mutex compiling;
    std::shared_ptr<const Compiled> compiled;  // under `compiling`
    std::list<std::string>::iterator place;    // in recent_
    int64_t bytes = 0;
  };

  absl::StatusOr<Compiled> Run(const std::string& source, TimePoint deadline);
  absl::StatusOr<std::string> Precompile(TimePoint deadline);
  absl::StatusOr<std::string> PreludePath(TimePoint deadline);

  sandbox::Sandbox& sandbox_;
  const std::string cache_folder_;

  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<Entry>, std::less<>> entries_ ABSL_GUARDED_BY(mu_);
  std::list<std::string> recent_ ABSL_GUARDED_BY(mu_);  // sources, the latest last
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  Stats stats_ ABSL_GUARDED_BY(mu_);

  std::timed_mutex precompiling_;
  bool tried_ = false;        // under precompiling_
  std::string prelude_path_;  // under precompiling_; empty: no precompiled header
};

}  // namespace hone::code
