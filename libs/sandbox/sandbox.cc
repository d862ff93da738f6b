#include "libs/sandbox/sandbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <list>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/sandbox/forker.h"
#include "libs/sandbox/isolation.h"
#include "libs/sandbox/program.h"
#include "libs/sandbox/work_folder.h"

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
  explicit SandboxImpl(const Options& options) : options_(options), free_(options.slots) {}
  ~SandboxImpl() override;
  absl::Status Initialise();

  Level level() const override { return isolation_.level; }
  std::string Describe() const override {
    return absl::StrCat(LevelName(isolation_.level), "\n  ",
                        absl::StrJoin(isolation_.report, "\n  "), "\n");
  }
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
  absl::StatusOr<std::shared_ptr<Forker>> ForkerOf(Language language);
  absl::StatusOr<Slot> Prepare(Language language, const wire::Spawn& request);
  absl::StatusOr<Slot> Take(const Task& task, TimePoint deadline);
  void Release(Language language, const wire::Spawn& request, const std::string& work_path);
  void Remove(const std::string& work_path);

  const Options options_;
  Isolation isolation_;
  std::string root_;
  Mutex mu_;
  std::condition_variable released_;
  int free_ ABSL_GUARDED_BY(mu_);
  int64_t serial_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<Language, std::shared_ptr<Forker>> forkers_ ABSL_GUARDED_BY(mu_);
  std::map<Language, std::list<Slot>> prepared_ ABSL_GUARDED_BY(mu_);
};

absl::Status SandboxImpl::Initialise() {
  const char* temporary = std::getenv("TMPDIR");
  std::string parent = options_.work_root;
  if (parent.empty()) parent = temporary != nullptr ? temporary : "/tmp";
  root_ = absl::StrCat(parent, "/hone-sandbox-", getpid(), "-XXXXXX");
  if (mkdtemp(root_.data()) == nullptr) {
    const int error = errno;
    return ErrnoStatus(error, "cannot create", std::exchange(root_, ""));
  }
  chmod(root_.c_str(), 0711);  // programs of another user reach their folders in it
  HONE_ASSIGN_OR_RETURN(isolation_, FindIsolation(options_, root_));
  MutexLock lock(mu_);
  forkers_[Language::kProgram] = std::move(isolation_.runner);
  return absl::OkStatus();
}

SandboxImpl::~SandboxImpl() {
  std::map<Language, std::list<Slot>> prepared;
  {
    MutexLock lock(mu_);
    forkers_.clear();
    prepared.swap(prepared_);
  }
  for (auto& [language, slots] : prepared)
    for (Slot& s : slots) Remove(s.work_path);
  if (!root_.empty()) rmdir(root_.c_str());
}

absl::StatusOr<std::shared_ptr<Forker>> SandboxImpl::ForkerOf(Language language) {
  MutexLock lock(mu_);
  std::shared_ptr<Forker>& forker = forkers_[language];
  if (forker == nullptr) {
    HONE_ASSIGN_OR_RETURN(forker, language == Language::kPython
                                      ? Forker::StartPython(isolation_.config, options_.python,
                                                            options_.python_imports)
                                      : Forker::StartRunner(isolation_.config));
  }
  return forker;
}

absl::StatusOr<Slot> SandboxImpl::Prepare(Language language, const wire::Spawn& request) {
  HONE_ASSIGN_OR_RETURN(const std::shared_ptr<Forker> forker, ForkerOf(language));
  Slot slot;
  slot.request = request;
  if (isolation_.level < Level::kNamespaces) {
    int64_t serial = 0;
    {
      MutexLock lock(mu_);
      serial = serial_++;
    }
    slot.work_path = absl::StrCat(root_, "/", serial);
    if (isolation_.unique_identities)
      slot.request.uid = isolation_.config.identity + 1 + serial % 1999;
    if (mkdir(slot.work_path.c_str(), 0700) != 0)
      return ErrnoStatus(errno, "cannot create", slot.work_path);
    slot.work = FileDescriptor(open(slot.work_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  if (absl::Status s = forker->Spawn(slot); !s.ok()) {
    Remove(slot.work_path);
    MutexLock lock(mu_);
    if (forkers_[language] == forker) forkers_.erase(language);  // the next call starts another
    return s;
  }
  return slot;
}

absl::StatusOr<Slot> SandboxImpl::Take(const Task& task, TimePoint deadline) {
  wire::Spawn request = {};
  request.supervised = task.limits.processes > 1 || isolation_.level >= Level::kNamespaces;
  request.filter = task.limits.processes > 1            ? wire::FilterKind::kProcesses
                   : task.language == Language::kPython ? wire::FilterKind::kPython
                                                        : wire::FilterKind::kProgram;
  request.file_bytes = task.limits.file_bytes;
  const auto fits = [&](const Slot& s) {
    return s.request.filter == request.filter && s.request.file_bytes == request.file_bytes;
  };
  std::optional<Slot> slot;
  {
    MutexLock lock(mu_);
    std::list<Slot>& prepared = prepared_[task.language];
    const auto found = std::find_if(prepared.begin(), prepared.end(), fits);
    if (found != prepared.end()) {
      slot = std::move(*found);
      prepared.erase(found);
    }
  }
  // One that was prepared may have died with its forker; a fresh one has no excuse.
  if (slot.has_value()) {
    const absl::Status ready = Forker::AwaitReady(*slot, deadline);
    if (ready.ok()) return *std::move(slot);
    Remove(slot->work_path);
    if (absl::IsDeadlineExceeded(ready)) return ready;
  }
  HONE_ASSIGN_OR_RETURN(slot, Prepare(task.language, request));
  if (absl::Status ready = Forker::AwaitReady(*slot, deadline); !ready.ok()) {
    Remove(slot->work_path);
    return ready;
  }
  return *std::move(slot);
}

absl::StatusOr<std::unique_ptr<Program>> SandboxImpl::Launch(const Task& task, bool channel,
                                                             TimePoint deadline) {
  HONE_RETURN_IF_ERROR(Validate(task));
  {
    MutexLock lock(mu_);
    if (!lock.WaitUntil(released_, deadline,
                        [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return free_ > 0; }))
      return absl::DeadlineExceededError(
          absl::StrCat("all ", options_.slots, " slots were busy until the deadline"));
    --free_;
  }
  absl::StatusOr<Slot> slot = Take(task, deadline);
  if (!slot.ok()) {
    MutexLock lock(mu_);
    ++free_;
    released_.notify_one();
    return slot.status();
  }
  const auto release = [this, language = task.language, request = slot->request,
                        path = slot->work_path] { Release(language, request, path); };
  return Program::Start(*std::move(slot), task, channel, release);
}

void SandboxImpl::Release(Language language, const wire::Spawn& request,
                          const std::string& work_path) {
  Remove(work_path);
  absl::StatusOr<Slot> next = Prepare(language, request);
  std::list<Slot> superfluous;
  MutexLock lock(mu_);
  std::list<Slot>& prepared = prepared_[language];
  if (next.ok()) prepared.push_back(*std::move(next));
  while (static_cast<int>(prepared.size()) > options_.slots)
    superfluous.splice(superfluous.end(), prepared, prepared.begin());
  for (Slot& s : superfluous) Remove(s.work_path);
  ++free_;
  released_.notify_one();
}

void SandboxImpl::Remove(const std::string& work_path) {
  if (work_path.empty()) return;
  const FileDescriptor folder(open(work_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.valid()) Empty(folder.get()).IgnoreError();
  rmdir(work_path.c_str());
}
}  // namespace

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Create(const Options& options) {
  if (options.slots < 1)
    return absl::InvalidArgumentError(
        absl::StrCat("slots is ", options.slots, ", expected at least 1"));
  auto sandbox = std::make_unique<SandboxImpl>(options);
  HONE_RETURN_IF_ERROR(sandbox->Initialise());
  return sandbox;
}

}  // namespace hone::sandbox
