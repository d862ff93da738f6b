#include "libs/sandbox/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace hone::sandbox {
namespace {

std::string Read(const std::string& path) {
  return ReadFile(path, 1 << 20).value_or("");
}

absl::Status Write(const std::string& path, absl::string_view text) {
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, "cannot open", path);
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return ErrnoStatus(errno, absl::StrCat("cannot write '", text, "' to"), path);
  return absl::OkStatus();
}

// The number after `key` in lines of "key number".
int64_t NumberOf(const std::string& text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    int64_t n = 0;
    if (absl::ConsumePrefix(&line, key) && absl::ConsumePrefix(&line, " ") &&
        absl::SimpleAtoi(line, &n))
      return n;
  }
  return 0;
}

std::vector<std::string> Folders(const CgroupRoots& roots, const std::string& name) {
  std::vector<std::string> folders;
  for (const std::string& root : {roots.memory, roots.pids, roots.cpu, roots.unified}) {
    if (root.empty()) continue;
    std::string folder = absl::StrCat(root, "/", name);
    if (std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(std::move(folder));
  }
  return folders;
}

void Remove(const std::string& folder) {
  // The last processes may still be on their way out.
  for (int attempt = 0; rmdir(folder.c_str()) != 0 && errno == EBUSY && attempt < 1000; ++attempt)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}
}  // namespace

absl::StatusOr<CgroupRoots> FindCgroupRoots(const std::string& mountinfo, const std::string& cgroup,
                                            const std::string& controllers_of_unified) {
  // Controller ("" is version 2) -> own group.
  const auto group_of = [&](absl::string_view controller) -> std::string {
    for (absl::string_view line : absl::StrSplit(cgroup, '\n')) {
      const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
      if (parts.size() != 3) continue;
      const std::vector<std::string> names = absl::StrSplit(parts[1], ',');
      if (std::find(names.begin(), names.end(), controller) != names.end()) return parts[2];
    }
    return "";
  };
  // Where the group of `controller` is in the file system, given the mount that shows it.
  const auto folder_of = [&](absl::string_view controller) -> std::string {
    const std::string group = group_of(controller);
    if (group.empty()) return "";
    for (absl::string_view line : absl::StrSplit(mountinfo, '\n')) {
      const std::vector<std::string> f = absl::StrSplit(line, ' ');
      const auto dash = std::find(f.begin(), f.end(), "-");
      if (f.size() < 6 || f.end() - dash < 4) continue;
      const std::vector<std::string> names = absl::StrSplit(dash[3], ',');
      const bool shows = controller.empty()
                             ? dash[1] == "cgroup2"
                             : dash[1] == "cgroup" &&
                                   std::find(names.begin(), names.end(), controller) != names.end();
      if (!shows) continue;
      absl::string_view below = group;
      if (f[3] != "/" && !absl::ConsumePrefix(&below, f[3])) continue;
      std::string folder = absl::StrCat(f[4], below);
      while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
      return folder;
    }
    return "";
  };
  CgroupRoots roots;
  roots.unified = folder_of("");
  const std::vector<std::string> controllers =
      absl::StrSplit(absl::StripAsciiWhitespace(controllers_of_unified), ' ');
  const auto in_unified = [&](absl::string_view c) {
    return !roots.unified.empty() &&
           std::find(controllers.begin(), controllers.end(), c) != controllers.end();
  };
  roots.memory_is_v2 = in_unified("memory");
  roots.pids_is_v2 = in_unified("pids");
  roots.memory = roots.memory_is_v2 ? roots.unified : folder_of("memory");
  roots.pids = roots.pids_is_v2 ? roots.unified : folder_of("pids");
  if (roots.unified.empty()) roots.cpu = folder_of("cpuacct");
  if (roots.memory.empty() || roots.pids.empty())
    return absl::NotFoundError(absl::StrCat(
        "no cgroup controller of ", roots.memory.empty() ? "memory" : "pids", " is mounted"));
  return roots;
}

absl::StatusOr<CgroupRoots> FindCgroupRoots() {
  const std::string mounts = Read("/proc/self/mountinfo");
  const std::string groups = Read("/proc/self/cgroup");
  // Twice: the first finds the folder that lists the controllers.
  const auto unified = FindCgroupRoots(mounts, groups, "memory pids");
  const std::string controllers =
      unified.ok() ? Read(absl::StrCat(unified->unified, "/cgroup.controllers")) : "";
  return FindCgroupRoots(mounts, groups, controllers);
}

absl::Status CreateCgroupSet(const CgroupRoots& roots, const std::string& set) {
  for (const std::string& folder : Folders(roots, set)) {
    if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
      return ErrnoStatus(errno, "cannot create", folder);
    if (folder != absl::StrCat(roots.unified, "/", set)) continue;
    for (const auto& [is_v2, what] :
         {std::pair(roots.memory_is_v2, "+memory"), std::pair(roots.pids_is_v2, "+pids")}) {
      // Both in this group and, for that, in its parent. A parent with processes of its own
      // refuses.
      if (!is_v2) continue;
      Write(absl::StrCat(roots.unified, "/cgroup.subtree_control"), what).IgnoreError();
      HONE_RETURN_IF_ERROR(Write(absl::StrCat(folder, "/cgroup.subtree_control"), what));
    }
  }
  return absl::OkStatus();
}

void RemoveCgroupSet(const CgroupRoots& roots, const std::string& set) {
  for (const std::string& folder : Folders(roots, set)) {
    std::error_code error;
    for (const auto& e : std::filesystem::directory_iterator(folder, error))
      if (e.is_directory(error)) Remove(e.path());
    Remove(folder);
  }
}

Cgroup::Cgroup(const CgroupRoots& roots, const std::string& name)
    : memory_is_v2_(roots.memory_is_v2),
      pids_is_v2_(roots.pids_is_v2),
      memory_(absl::StrCat(roots.memory, "/", name)),
      pids_(absl::StrCat(roots.pids, "/", name)),
      cpu_(roots.cpu.empty() ? "" : absl::StrCat(roots.cpu, "/", name)),
      unified_(roots.unified.empty() ? "" : absl::StrCat(roots.unified, "/", name)),
      folders_(Folders(roots, name)) {}

absl::StatusOr<std::unique_ptr<Cgroup>> Cgroup::Create(const CgroupRoots& roots,
                                                       const std::string& name) {
  std::unique_ptr<Cgroup> group(new Cgroup(roots, name));
  for (const std::string& folder : group->folders_)
    if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
      return ErrnoStatus(errno, "cannot create", folder);
  return group;
}

Cgroup::~Cgroup() {
  for (const std::string& folder : folders_) Remove(folder);
}

absl::Status Cgroup::Enter(pid_t pid, int64_t memory_bytes, int tasks) {
  if (memory_bytes != memory_bytes_) {
    const std::string bytes = absl::StrCat(memory_bytes);
    if (memory_is_v2_) {
      HONE_RETURN_IF_ERROR(Write(absl::StrCat(memory_, "/memory.max"), bytes));
      Write(absl::StrCat(memory_, "/memory.swap.max"), "0").IgnoreError();
    } else {
      // With swap accounting the sum may not be below the memory, whichever is written first.
      const std::string sum = absl::StrCat(memory_, "/memory.memsw.limit_in_bytes");
      Write(sum, "-1").IgnoreError();
      HONE_RETURN_IF_ERROR(Write(absl::StrCat(memory_, "/memory.limit_in_bytes"), bytes));
      Write(sum, bytes).IgnoreError();
    }
    memory_bytes_ = memory_bytes;
  }
  if (tasks != tasks_) {
    HONE_RETURN_IF_ERROR(Write(absl::StrCat(pids_, "/pids.max"), absl::StrCat(tasks)));
    tasks_ = tasks;
  }
  const std::string process = absl::StrCat(pid);
  for (const std::string& folder : folders_)
    HONE_RETURN_IF_ERROR(Write(absl::StrCat(folder, "/cgroup.procs"), process));
  cpu_before_ = ReadCpu();
  oom_before_ = ReadOomKills();
  return absl::OkStatus();
}

double Cgroup::ReadCpu() const {
  if (!unified_.empty())
    return static_cast<double>(NumberOf(Read(absl::StrCat(unified_, "/cpu.stat")), "usage_usec")) *
           1e-6;
  int64_t ns = 0;
  if (cpu_.empty() || !absl::SimpleAtoi(Read(absl::StrCat(cpu_, "/cpuacct.usage")), &ns)) return -1;
  return static_cast<double>(ns) * 1e-9;
}

double Cgroup::CpuSeconds() const {
  const double now = ReadCpu();
  return now < 0 ? -1 : now - cpu_before_;
}

int64_t Cgroup::ReadOomKills() const {
  return NumberOf(
      Read(absl::StrCat(memory_, memory_is_v2_ ? "/memory.events" : "/memory.oom_control")),
      "oom_kill");
}

bool Cgroup::RanOutOfMemory() const {
  return ReadOomKills() > oom_before_;
}

void Cgroup::Kill() {
  if (!unified_.empty()) Write(absl::StrCat(unified_, "/cgroup.kill"), "1").IgnoreError();
}

}  // namespace hone::sandbox
