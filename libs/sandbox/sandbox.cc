#include "libs/sandbox/sandbox.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/sandbox/program.h"
#include "libs/sandbox/slot_pool.h"

namespace hone::sandbox {
namespace {

absl::Status ValidatePath(absl::string_view what, const std::string& path) {
  bool ok = !path.empty() && path.size() < 4096 && path.find('\0') == std::string::npos;
  for (absl::string_view part : absl::StrSplit(path, '/'))
    ok = ok && !part.empty() && part != "." && part != ".." && part.size() < 256;
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " '", path, "': expected a relative path without '.' and '..'"));
}

absl::Status Validate(const Task& task) {
  const Limits& l = task.limits;
  if (!(l.cpu_seconds > 0) || !(l.wall_seconds > 0) || l.memory_bytes <= 0 || l.output_bytes < 0 ||
      l.file_bytes < 0 || l.processes < 1)
    return absl::InvalidArgumentError(absl::StrCat(
        "limits: cpu_seconds ", l.cpu_seconds, ", wall_seconds ", l.wall_seconds, ", memory_bytes ",
        l.memory_bytes, ", output_bytes ", l.output_bytes, ", file_bytes ", l.file_bytes,
        ", processes ", l.processes, ": expected positive numbers"));
  for (const File& f : task.files) HONE_RETURN_IF_ERROR(ValidatePath("file", f.path));
  for (const std::string& o : task.outputs) HONE_RETURN_IF_ERROR(ValidatePath("output", o));
  if (task.language == Language::kPython) {
    if (!task.argv.empty()) return absl::InvalidArgumentError("a Python task has source, no argv");
    return absl::OkStatus();
  }
  if (task.argv.empty() || task.argv[0].empty() || task.argv.size() > 256)
    return absl::InvalidArgumentError(
        absl::StrCat("argv has ", task.argv.size(), " entries, expected 1 to 256"));
  return absl::OkStatus();
}

class SandboxImpl final : public Sandbox {
 public:
  SandboxImpl(const Options& options, std::unique_ptr<SlotPool> pool)
      : slots_(options.slots), pool_(std::move(pool)), free_(options.slots) {}

  Level level() const override { return pool_->level(); }
  std::string Describe() const override { return pool_->Describe(); }
  absl::StatusOr<Result> Run(const Task& task, TimePoint deadline) override {
    HONE_ASSIGN_OR_RETURN(const std::unique_ptr<Program> program, Launch(task, false, deadline));
    return program->Wait(deadline);
  }
  absl::StatusOr<std::unique_ptr<Session>> Start(const Task& task, TimePoint deadline) override {
    HONE_ASSIGN_OR_RETURN(std::unique_ptr<Program> program, Launch(task, true, deadline));
    return program;
  }

 private:
  absl::StatusOr<std::unique_ptr<Program>> Launch(const Task& task, bool channel,
                                                  TimePoint deadline);
  void Free();

  const int slots_;
  const std::unique_ptr<SlotPool> pool_;
  Mutex mu_;
  std::condition_variable freed_;
  int free_ ABSL_GUARDED_BY(mu_);
};

absl::StatusOr<std::unique_ptr<Program>> SandboxImpl::Launch(const Task& task, bool channel,
                                                             TimePoint deadline) {
  HONE_RETURN_IF_ERROR(Validate(task));
  {
    MutexLock lock(mu_);
    if (!lock.WaitUntil(freed_, deadline,
                        [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return free_ > 0; }))
      return absl::DeadlineExceededError(
          absl::StrCat("all ", slots_, " slots were busy until the deadline"));
    --free_;
  }
  absl::StatusOr<Slot> slot = pool_->Take(task, deadline);
  if (!slot.ok()) {
    Free();
    return slot.status();
  }
  return Program::Start(*std::move(slot), task, channel, [this](Slot used, bool gone) {
    pool_->Return(std::move(used), gone);
    Free();
  });
}

void SandboxImpl::Free() {
  MutexLock lock(mu_);
  ++free_;
  freed_.notify_one();
}
}  // namespace

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Create(const Options& options) {
  if (options.slots < 1 || options.slots > 500)
    return absl::InvalidArgumentError(
        absl::StrCat("slots is ", options.slots, ", expected 1 to 500"));
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<SlotPool> pool, SlotPool::Create(options));
  return std::make_unique<SandboxImpl>(options, std::move(pool));
}

}  // namespace hone::sandbox
