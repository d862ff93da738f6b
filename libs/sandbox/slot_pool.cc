#include "libs/sandbox/slot_pool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/sandbox/usage.h"
#include "libs/sandbox/work_folder.h"

namespace hone::sandbox {
namespace {

constexpr char kPrefix[] = "hone-sandbox-";

FileDescriptor OpenFolder(const std::string& path) {
  return FileDescriptor(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// Removes what sandboxes left that were killed: nobody holds the lock of their folder.
void Sweep(const std::string& parent) {
  const auto groups = FindCgroupRoots();
  std::error_code error;
  for (const auto& e : std::filesystem::directory_iterator(parent, error)) {
    const std::string name = e.path().filename();
    if (!absl::StartsWith(name, kPrefix)) continue;
    const FileDescriptor folder = OpenFolder(e.path());
    struct stat found = {};
    if (!folder.valid() || fstat(folder.get(), &found) != 0 || found.st_uid != geteuid() ||
        flock(folder.get(), LOCK_EX | LOCK_NB) != 0)
      continue;
    if (groups.ok()) RemoveCgroupSet(*groups, name);
    Empty(folder.get()).IgnoreError();
    rmdir(e.path().c_str());
  }
}

Language LanguageOf(const wire::Spawn& request) {
  return request.python != 0 ? Language::kPython : Language::kProgram;
}
}  // namespace

absl::StatusOr<std::unique_ptr<SlotPool>> SlotPool::Create(const Options& options) {
  std::unique_ptr<SlotPool> pool(new SlotPool(options));
  HONE_RETURN_IF_ERROR(pool->MakeRoot());
  HONE_ASSIGN_OR_RETURN(pool->isolation_, FindIsolation(options, pool->root_));
  MutexLock lock(pool->mu_);
  pool->forkers_[Language::kProgram] = std::move(pool->isolation_.runner);
  return pool;
}

absl::Status SlotPool::MakeRoot() {
  const char* temporary = std::getenv("TMPDIR");
  std::string parent = options_.work_root;
  if (parent.empty()) parent = temporary != nullptr ? temporary : "/tmp";
  Sweep(parent);
  // Until its lock is held, another process may take the folder for one that was left, and remove
  // it.
  for (int attempt = 0; attempt < 10; ++attempt) {
    std::string root = absl::StrCat(parent, "/", kPrefix, getpid(), "-XXXXXX");
    if (mkdtemp(root.data()) == nullptr) return ErrnoStatus(errno, "cannot create", root);
    FileDescriptor folder = OpenFolder(root);
    if (!folder.valid() || flock(folder.get(), LOCK_EX | LOCK_NB) != 0 ||
        access(root.c_str(), F_OK) != 0)
      continue;
    root_ = root;
    lock_ = std::move(folder);
    chmod(root_.c_str(), 0711);  // programs of another user reach their folders in it
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat("cannot keep a folder in ", parent));
}

SlotPool::~SlotPool() {
  {
    MutexLock lock(mu_);
    forkers_.clear();  // and with them all slots
    isolation_.runner.reset();
    prepared_.clear();
    cells_.clear();
  }
  if (isolation_.cgroups.has_value()) RemoveCgroupSet(*isolation_.cgroups, isolation_.cgroup_set);
  if (root_.empty()) return;
  Empty(lock_.get()).IgnoreError();
  rmdir(root_.c_str());
}

std::string SlotPool::Describe() const {
  return absl::StrCat(LevelName(isolation_.level), "\n  ", absl::StrJoin(isolation_.report, "\n  "),
                      "\n");
}

absl::StatusOr<std::shared_ptr<Forker>> SlotPool::ForkerOf(Language language) {
  MutexLock lock(mu_);
  std::shared_ptr<Forker>& forker = forkers_[language];
  if (forker == nullptr) {
    HONE_ASSIGN_OR_RETURN(forker, language == Language::kPython
                                      ? Forker::StartPython(isolation_.config, options_)
                                      : Forker::StartRunner(isolation_.config));
  }
  return forker;
}

absl::StatusOr<std::unique_ptr<Cell>> SlotPool::TakeCell() {
  auto cell = std::make_unique<Cell>();
  {
    MutexLock lock(mu_);
    if (!cells_.empty()) {
      cell = std::move(cells_.back());
      cells_.pop_back();
      return cell;
    }
    cell->index = cells_made_++;
  }
  if (isolation_.cgroups.has_value()) {
    HONE_ASSIGN_OR_RETURN(
        cell->cgroup,
        Cgroup::Create(*isolation_.cgroups, absl::StrCat(isolation_.cgroup_set, "/", cell->index)));
  }
  if (isolation_.level < Level::kNamespaces) {
    const std::string path = absl::StrCat(root_, "/", cell->index);
    if (mkdir(path.c_str(), 0700) != 0) return ErrnoStatus(errno, "cannot create", path);
    cell->work = OpenFolder(path);
    if (!cell->work.valid()) return ErrnoStatus(errno, "cannot open", path);
  }
  return cell;
}

void SlotPool::ReturnCell(std::unique_ptr<Cell> cell) {
  if (cell->work.valid()) {
    // As new: a program may have changed the folder itself.
    fchmod(cell->work.get(), 0700);
    if (!Empty(cell->work.get()).ok()) return;  // it goes with the root; the next gets another
  }
  MutexLock lock(mu_);
  cells_.push_back(std::move(cell));
}

absl::StatusOr<Slot> SlotPool::Prepare(const wire::Spawn& request) {
  const Language language = LanguageOf(request);
  HONE_ASSIGN_OR_RETURN(const std::shared_ptr<Forker> forker, ForkerOf(language));
  Slot slot;
  slot.request = request;
  HONE_ASSIGN_OR_RETURN(slot.cell, TakeCell());
  if (isolation_.unique_identities)
    slot.request.uid = isolation_.config.identity + 1 + slot.cell->index % 1999;
  if (absl::Status s = forker->Spawn(slot); !s.ok()) {
    ReturnCell(std::move(slot.cell));
    MutexLock lock(mu_);
    if (forkers_[language] == forker) forkers_.erase(language);  // the next call starts another
    return s;
  }
  return slot;
}

absl::StatusOr<Slot> SlotPool::TakeReady(const Task& task, TimePoint deadline) {
  wire::Spawn request = {};
  const bool processes = task.limits.processes > 1;
  request.python = task.language == Language::kPython;
  // Only a filter that lets nobody fork makes a supervisor superfluous; a pid namespace has one
  // anyway.
  request.supervised = processes || isolation_.level != Level::kFiltered;
  request.filter = processes             ? wire::FilterKind::kProcesses
                   : request.python != 0 ? wire::FilterKind::kPython
                                         : wire::FilterKind::kProgram;
  request.file_bytes = task.limits.file_bytes;
  std::optional<Slot> slot;
  {
    MutexLock lock(mu_);
    const auto found = std::find_if(prepared_.begin(), prepared_.end(), [&](const Slot& s) {
      return s.request.python == request.python && s.request.filter == request.filter &&
             s.request.file_bytes == request.file_bytes;
    });
    if (found != prepared_.end()) {
      slot = std::move(*found);
      prepared_.erase(found);
    }
  }
  // One that was prepared may have died with its forker; a fresh one has no excuse, but the forker
  // may die between.
  absl::Status ready;
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (!slot.has_value()) {
      absl::StatusOr<Slot> fresh = Prepare(request);
      ready = fresh.status();
      if (!ready.ok()) continue;
      slot = *std::move(fresh);
    }
    ready = Forker::AwaitReady(*slot, deadline);
    if (ready.ok()) return *std::move(slot);
    ReturnCell(std::move(slot->cell));
    slot.reset();
    if (absl::IsDeadlineExceeded(ready)) return ready;
  }
  return ready;
}

absl::StatusOr<Slot> SlotPool::Take(const Task& task, TimePoint deadline) {
  HONE_ASSIGN_OR_RETURN(Slot slot, TakeReady(task, deadline));
  const Limits& limits = task.limits;
  // Threads count as processes do; an interpreter's libraries start some.
  const int tasks = limits.processes + kThreads;
  if (slot.cell->cgroup != nullptr)
    HONE_RETURN_IF_ERROR(slot.cell->cgroup->Enter(slot.pid, limits.memory_bytes, tasks));
  if (slot.request.uid != 0 || slot.work.valid()) {
    slot.most_tasks = tasks;
  } else if (limits.processes > 1) {
    slot.most_tasks = options_.slots * tasks + TasksBesides();
  }
  return slot;
}

int SlotPool::TasksBesides() {
  std::set<pid_t> roots;
  {
    MutexLock lock(mu_);
    for (const auto& [language, forker] : forkers_) roots.insert(forker->pid());
  }
  return TasksOfThisUserBesides(roots);
}

void SlotPool::Return(Slot slot, bool gone) {
  if (!gone) return;
  ReturnCell(std::move(slot.cell));
  absl::StatusOr<Slot> next = Prepare(slot.request);
  std::list<Slot> superfluous;
  {
    MutexLock lock(mu_);
    if (next.ok()) prepared_.push_back(*std::move(next));
    while (static_cast<int>(prepared_.size()) > 2 * options_.slots)
      superfluous.splice(superfluous.end(), prepared_, prepared_.begin());
  }
  for (Slot& s : superfluous) ReturnCell(std::move(s.cell));
}

}  // namespace hone::sandbox
