#include "libs/reward/code/compiler.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/log.h"
#include "libs/base/status.h"
#include "libs/reward/code/embedded.h"
#include "xxhash.h"

namespace hone::code {
namespace {

constexpr absl::string_view kCompiler = "/usr/bin/g++";

sandbox::Limits CompileLimits() {
  sandbox::Limits limits;
  limits.cpu_seconds = 30;
  limits.wall_seconds = 300;
  limits.memory_bytes = int64_t{2} << 30;
  limits.output_bytes = int64_t{256} << 10;
  limits.file_bytes = int64_t{64} << 20;
  limits.processes = 16;
  return limits;
}

std::vector<std::string> Flags() {
  // The work folder is the only place that can be written to; complaints are to be ASCII.
  return {"/usr/bin/env", "TMPDIR=.", "LC_ALL=C", std::string(kCompiler),
          "-std=gnu++17", "-O1",      "-pipe"};
}

// -include of a header in a work folder, or of one that has a precompiled neighbour, is the same.
std::string Prelude() {
  return absl::StrCat("#include <bits/stdc++.h>\n", ValuesHeader(), BridgeHeader());
}

// The compiler's first complaint.
std::string FirstError(absl::string_view text) {
  for (absl::string_view line : absl::StrSplit(text, '\n'))
    if (absl::StrContains(line, "error") || absl::StrContains(line, "undefined reference"))
      return Printable(line);
  return Printable(text);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Compiled>> Compiler::Compile(const std::string& source,
                                                                  TimePoint deadline) {
  std::shared_ptr<Entry> entry;
  {
    MutexLock lock(mu_);
    std::shared_ptr<Entry>& found = entries_[source];
    if (found == nullptr) {
      found = std::make_shared<Entry>();
      found->place = recent_.insert(recent_.end(), source);
    } else {
      recent_.splice(recent_.end(), recent_, found->place);
    }
    entry = found;
  }
  std::unique_lock<std::timed_mutex> compiling(entry->compiling, std::defer_lock);
  if (deadline == kNoDeadline) {
    compiling.lock();
  } else if (!compiling.try_lock_until(deadline)) {
    return absl::DeadlineExceededError("the same source is being compiled");
  }
  if (entry->compiled != nullptr) {
    MutexLock lock(mu_);
    ++stats_.hits;
    return entry->compiled;
  }
  absl::StatusOr<Compiled> compiled = Run(source, deadline);
  const bool lasting =
      compiled.ok() && (compiled->ok || compiled->failure.outcome == v1::OUTCOME_COMPILE_ERROR);
  std::shared_ptr<const Compiled> result;
  if (compiled.ok()) result = std::make_shared<const Compiled>(*std::move(compiled));
  if (lasting) entry->compiled = result;
  MutexLock lock(mu_);
  ++stats_.misses;
  const auto found = entries_.find(source);
  const bool known = found != entries_.end() && found->second == entry;  // not thrown out meanwhile
  if (known && lasting) {
    entry->bytes = static_cast<int64_t>(2 * source.size() + result->program.size());
    bytes_ += entry->bytes;
    while (bytes_ > kCacheBytes && recent_.front() != source) {
      const auto oldest = entries_.find(recent_.front());
      bytes_ -= oldest->second->bytes;
      recent_.pop_front();
      entries_.erase(oldest);
    }
  } else if (known) {
    recent_.erase(entry->place);
    entries_.erase(found);
  }
  if (!compiled.ok()) return compiled.status();
  return result;
}

absl::StatusOr<Compiled> Compiler::Run(const std::string& source, TimePoint deadline) {
  HONE_ASSIGN_OR_RETURN(const std::string prelude, PreludePath(deadline));
  sandbox::Task task;
  task.limits = CompileLimits();
  task.argv = Flags();
  if (prelude.empty()) task.files.push_back({"prelude.h", Prelude()});
  for (const char* argument : {"-w", "-include", prelude.empty() ? "./prelude.h" : prelude.c_str(),
                               "program.cc", "-o", "program"})
    task.argv.emplace_back(argument);
  // Links in a third of the time, of which the plugin for link-time optimization is some more.
  if (access("/usr/bin/ld.gold", X_OK) == 0) {
    task.argv.emplace_back("-fuse-ld=gold");
    task.argv.emplace_back("-fno-use-linker-plugin");
  }
  task.files.push_back({"program.cc", source});
  task.outputs = {"program"};
  HONE_ASSIGN_OR_RETURN(sandbox::Result result, sandbox_.Run(task, deadline));
  Compiled compiled;
  if (result.ending == sandbox::Ending::kExited && result.exit_code == 0 &&
      result.outputs.size() == 1) {
    compiled.ok = true;
    compiled.program = std::move(result.outputs[0].contents);
    return compiled;
  }
  compiled.failure = Explain(result, task.limits, "the compiler");
  if (result.ending == sandbox::Ending::kCancelled)
    return absl::DeadlineExceededError(compiled.failure.why);
  if (result.ending == sandbox::Ending::kExited) {
    compiled.failure.outcome = v1::OUTCOME_COMPILE_ERROR;
    compiled.failure.why = absl::StrCat("does not compile: ", FirstError(result.stderr_data));
  }
  return compiled;
}

// The prelude's path, with a precompiled neighbour; empty where there is none.
absl::StatusOr<std::string> Compiler::PreludePath(TimePoint deadline) {
  if (cache_folder_.empty()) return std::string();
  std::unique_lock<std::timed_mutex> lock(precompiling_, std::defer_lock);
  if (deadline == kNoDeadline) {
    lock.lock();
  } else if (!lock.try_lock_until(deadline)) {
    return absl::DeadlineExceededError("the header is being precompiled");
  }
  if (tried_) return prelude_path_;
  absl::StatusOr<std::string> made = Precompile(deadline);
  if (absl::IsDeadlineExceeded(made.status())) return made.status();
  tried_ = true;
  if (made.ok()) {
    prelude_path_ = *std::move(made);
  } else {
    Log(LogLevel::kWarning, "C++ programs are compiled without a precompiled header",
        {{"folder", cache_folder_}, {"why", made.status()}});
  }
  return prelude_path_;
}

absl::StatusOr<std::string> Compiler::Precompile(TimePoint deadline) {
  HONE_RETURN_IF_ERROR(MakeDirectories(cache_folder_));
  struct stat folder = {};
  if (lstat(cache_folder_.c_str(), &folder) != 0 || !S_ISDIR(folder.st_mode) ||
      folder.st_uid != geteuid())
    return absl::PermissionDeniedError(
        absl::StrCat(cache_folder_, " is not a folder of this user"));
  // The file is named after all that it depends on; the compiler refuses one that it did not make.
  struct stat compiler = {};
  if (stat(std::string(kCompiler).c_str(), &compiler) != 0)
    return absl::NotFoundError(absl::StrCat("there is no ", kCompiler));
  const std::string prelude = Prelude();
  const std::string key = absl::StrCat(absl::StrJoin(Flags(), " "), "\n", prelude);
  const std::string name = absl::StrCat(
      cache_folder_, "/", absl::Hex(XXH3_64bits(key.data(), key.size()), absl::kZeroPad16), "-",
      compiler.st_mtim.tv_sec, "-", compiler.st_size, ".h");
  const std::string made = name + ".gch";

  // Whether programs inside the sandbox get to see it: one is compiled that needs it.
  const auto usable = [&]() -> absl::StatusOr<bool> {
    sandbox::Task task;
    task.limits = CompileLimits();
    task.argv = Flags();
    for (const std::string& argument :
         {std::string("-Winvalid-pch"), std::string("-Werror"), std::string("-fsyntax-only"),
          std::string("-include"), name, std::string("program.cc")})
      task.argv.push_back(argument);
    task.files.push_back({"program.cc", "int main() {}\n"});
    HONE_ASSIGN_OR_RETURN(const sandbox::Result result, sandbox_.Run(task, deadline));
    return result.ending == sandbox::Ending::kExited && result.exit_code == 0 &&
           result.stderr_data.empty();
  };
  struct stat there = {};
  if (stat(made.c_str(), &there) != 0) {
    sandbox::Task task;
    task.limits = CompileLimits();
    task.limits.cpu_seconds = 120;
    task.limits.file_bytes = int64_t{512} << 20;
    task.argv = Flags();
    for (const char* argument : {"-x", "c++-header", "prelude.h", "-o", "prelude.gch"})
      task.argv.emplace_back(argument);
    task.files.push_back({"prelude.h", prelude});
    task.outputs = {"prelude.gch"};
    HONE_ASSIGN_OR_RETURN(const sandbox::Result result, sandbox_.Run(task, deadline));
    if (result.ending == sandbox::Ending::kCancelled)
      return absl::DeadlineExceededError("the deadline passed while the header was precompiled");
    if (result.outputs.size() != 1)
      return absl::UnavailableError(
          absl::StrCat("the header cannot be precompiled: ", FirstError(result.stderr_data)));
    HONE_RETURN_IF_ERROR(WriteFileAtomically(name, prelude));
    HONE_RETURN_IF_ERROR(WriteFileAtomically(made, result.outputs[0].contents));
  }
  HONE_ASSIGN_OR_RETURN(const bool works, usable());
  if (!works)
    return absl::UnavailableError(
        absl::StrCat("sandboxed programs cannot use the precompiled header ", made));
  return name;
}

bool Compiler::precompiled(TimePoint deadline) {
  const absl::StatusOr<std::string> path = PreludePath(deadline);
  return path.ok() && !path->empty();
}

Compiler::Stats Compiler::stats() const {
  MutexLock lock(mu_);
  return stats_;
}

}  // namespace hone::code
