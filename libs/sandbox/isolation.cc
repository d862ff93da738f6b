#include "libs/sandbox/isolation.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/sandbox/filter.h"

namespace hone::sandbox {
namespace {

constexpr Duration kProbeTime = std::chrono::seconds(10);
constexpr char kProbeFolder[] = "/probe";

// Beyond what distributions and containers give out; this process's own part of the numbers, so
// that two services on one machine do not meet.
uint32_t FirstIdentity() {
  return 1'000'000'000U + static_cast<uint32_t>(getpid()) % 500'000U * 2000U;
}

absl::Status AddPlace(wire::Config& config, const std::string& path, wire::Place::Kind kind) {
  if (path.empty() || path[0] != '/' || path.size() >= sizeof(wire::Place::path) ||
      config.places == static_cast<int>(std::size(config.place)))
    return absl::InvalidArgumentError(absl::StrCat("readable path '", path, "': expected at most ",
                                                   std::size(config.place),
                                                   " absolute paths below 252 bytes"));
  wire::Place& place = config.place[config.places++];
  place.kind = kind;
  std::memcpy(place.path, path.c_str(), path.size() + 1);
  return absl::OkStatus();
}

absl::Status AddPlaces(const Options& options, wire::Config& config) {
  for (const char* path : {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache",
                           "/etc/alternatives"})
    HONE_RETURN_IF_ERROR(AddPlace(config, path, wire::Place::kReadable));
  for (const char* path : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
    HONE_RETURN_IF_ERROR(AddPlace(config, path, wire::Place::kDevice));
  // An interpreter elsewhere brings its library: .../bin/python3 and .../lib.
  if (char* real = realpath(options.python.c_str(), nullptr); real != nullptr) {
    std::string prefix = real;
    std::free(real);
    for (int up = 0; up < 2; ++up) prefix.resize(prefix.rfind('/'));
    if (!prefix.empty() && !absl::StartsWith(prefix, "/usr"))
      HONE_RETURN_IF_ERROR(AddPlace(config, prefix, wire::Place::kReadable));
  }
  for (const std::string& path : options.readable)
    HONE_RETURN_IF_ERROR(AddPlace(config, path, wire::Place::kReadable));
  return absl::OkStatus();
}

absl::Status MakeFilters(wire::Config& config) {
  for (wire::FilterKind kind :
       {wire::FilterKind::kPython, wire::FilterKind::kProgram, wire::FilterKind::kProcesses}) {
    const bool namespaces = config.namespaces != 0;
    HONE_RETURN_IF_ERROR(MakeFilter({.kind = kind,
                                     .shared_identity = !namespaces && geteuid() != 0,
                                     .signals_confined = namespaces || config.landlock_abi >= 6},
                                    config.filters[static_cast<int>(kind)]));
  }
  return absl::OkStatus();
}

// Starts a forker, and a slot that does all that slots do.
absl::StatusOr<std::unique_ptr<Forker>> Try(const wire::Config& config, const std::string& root,
                                            Slot& slot) {
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<Forker> runner, Forker::StartRunner(config));
  slot = Slot();
  slot.request = {.supervised = 1,
                  .filter = wire::FilterKind::kProcesses,
                  .uid = config.namespaces == 0 && geteuid() == 0 ? FirstIdentity() : 0,
                  .file_bytes = 1 << 20};
  slot.cell = std::make_unique<Cell>();
  if (config.namespaces == 0) {
    // A folder of its own: the slot's user will own it.
    const std::string folder = absl::StrCat(root, kProbeFolder);
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
      return ErrnoStatus(errno, "cannot create", folder);
    slot.cell->work = FileDescriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  HONE_RETURN_IF_ERROR(runner->Spawn(slot));
  HONE_RETURN_IF_ERROR(Forker::AwaitReady(slot, SystemClock::Get().Now() + kProbeTime));
  return runner;
}

// Makes a group and moves the waiting slot there.
absl::Status TryCgroups(const std::string& set, const Slot& slot, CgroupRoots& roots) {
  HONE_ASSIGN_OR_RETURN(roots, FindCgroupRoots());
  HONE_RETURN_IF_ERROR(CreateCgroupSet(roots, set));
  HONE_ASSIGN_OR_RETURN(slot.cell->cgroup, Cgroup::Create(roots, absl::StrCat(set, "/probe")));
  return slot.cell->cgroup->Enter(slot.pid, int64_t{64} << 20, kThreads);
}
}  // namespace

absl::string_view LevelName(Level level) {
  switch (level) {
    case Level::kLimits:
      return "L0 (limits)";
    case Level::kFiltered:
      return "L1 (filtered)";
    case Level::kNamespaces:
      return "L2 (namespaces)";
    case Level::kCgroups:
      return "L3 (cgroups)";
  }
  return "?";
}

absl::StatusOr<Isolation> FindIsolation(const Options& options, const std::string& root) {
  Isolation found;
  wire::Config& config = found.config;
  HONE_RETURN_IF_ERROR(AddPlaces(options, config));
  const bool is_root = geteuid() == 0;
  config.identity = is_root ? FirstIdentity() : 0;
  config.landlock_abi = static_cast<int32_t>(
      std::max(0L, syscall(SYS_landlock_create_ruleset, nullptr, 0, 1 /* version */)));
  const auto say = [&](auto... parts) { found.report.push_back(absl::StrCat(parts...)); };

  Slot slot;
  absl::Status missing;
  if (options.maximum >= Level::kNamespaces) {
    config.namespaces = config.filtered = 1;
    HONE_RETURN_IF_ERROR(MakeFilters(config));
    absl::StatusOr<std::unique_ptr<Forker>> runner = Try(config, root, slot);
    if (runner.ok()) {
      found.level = Level::kNamespaces;
      found.runner = *std::move(runner);
      say("namespaces: user, mount, pid, net, ipc, uts");
    } else {
      missing = runner.status();
      say("namespaces: no; ", runner.status().message());
    }
  } else {
    say("namespaces: not asked for");
  }
  if (found.runner == nullptr && options.maximum >= Level::kFiltered) {
    config.namespaces = 0;
    config.filtered = 1;
    HONE_RETURN_IF_ERROR(MakeFilters(config));
    absl::StatusOr<std::unique_ptr<Forker>> runner = Try(config, root, slot);
    if (runner.ok()) {
      found.level = Level::kFiltered;
      found.runner = *std::move(runner);
    } else {
      missing = runner.status();
      say("filters: no; ", runner.status().message());
    }
  }
  if (found.level >= Level::kFiltered) {
    say("files: Landlock, version ", config.landlock_abi,
        config.landlock_abi < 6 ? "; signals and truncation by seccomp" : "");
    say("system calls: seccomp, ", config.filters[0].length, " instructions");
  }
  if (found.runner == nullptr) {
    config.filtered = 0;
    HONE_ASSIGN_OR_RETURN(found.runner, Try(config, root, slot));
  }
  if (found.level == Level::kNamespaces && options.maximum >= Level::kCgroups) {
    CgroupRoots roots;
    found.cgroup_set = root.substr(root.rfind('/') + 1);
    missing = TryCgroups(found.cgroup_set, slot, roots);
    if (missing.ok()) {
      found.level = Level::kCgroups;
      found.cgroups = roots;
      say("cgroups: memory ", roots.memory_is_v2 ? "v2" : "v1", ", pids ",
          roots.pids_is_v2 ? "v2" : "v1", roots.unified.empty() ? "" : ", kill and CPU time v2");
    } else {
      say("cgroups: no; ", missing.message());
    }
  } else {
    say("cgroups: ", options.maximum < Level::kCgroups ? "not asked for" : "only with namespaces");
  }
  // The slot ends, and its control group after it.
  slot.task.Close();
  pollfd gone = {slot.process.get(), POLLIN, 0};
  poll(&gone, 1, 1000);
  slot = Slot();
  rmdir(absl::StrCat(root, kProbeFolder).c_str());
  if (found.level < Level::kCgroups && !found.cgroup_set.empty())
    if (const auto roots = FindCgroupRoots(); roots.ok()) RemoveCgroupSet(*roots, found.cgroup_set);

  found.unique_identities = is_root && found.level < Level::kNamespaces;
  say("identity: ", found.unique_identities             ? "a uid for each slot"
                    : found.level >= Level::kNamespaces ? "nobody, in a user namespace"
                                                        : "that of this process");
  if (found.level < options.minimum)
    return absl::FailedPreconditionError(
        absl::StrCat("this machine allows ", LevelName(found.level), ", expected at least ",
                     LevelName(options.minimum), ": ",
                     missing.ok() ? "the maximum is lower" : std::string(missing.message())));
  return found;
}

}  // namespace hone::sandbox
