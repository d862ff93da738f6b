#include "libs/sandbox/usage.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"

namespace hone::sandbox {
namespace {

constexpr int kMostProcesses = 4096;  // of a tree: a bomb is big enough without being counted

std::vector<std::string> List(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* stream = opendir(folder.c_str()); stream != nullptr) {
    while (const dirent* e = readdir(stream))
      if (e->d_name[0] >= '0' && e->d_name[0] <= '9') names.emplace_back(e->d_name);
    closedir(stream);
  }
  return names;
}

std::string Read(const std::string& path) {
  return ReadFile(path, 1 << 20).value_or("");
}

// The fields of /proc/<pid>/stat from the third one on: the second is a name that may hold
// anything.
std::vector<std::string> Stat(pid_t pid) {
  const std::string text = Read(absl::StrCat("/proc/", pid, "/stat"));
  const size_t end = text.rfind(") ");
  if (end == std::string::npos) return {};
  return absl::StrSplit(text.substr(end + 2), ' ');
}

int64_t Number(const std::vector<std::string>& fields, size_t field) {
  int64_t n = 0;
  return field - 3 < fields.size() && absl::SimpleAtoi(fields[field - 3], &n) ? n : 0;
}
}  // namespace

Usage UsageOf(pid_t pid) {
  Usage usage;
  clockid_t clock = 0;
  timespec t = {};
  if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0)
    usage.cpu_seconds = static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  const std::vector<std::string> statm =
      absl::StrSplit(Read(absl::StrCat("/proc/", pid, "/statm")), ' ');
  int64_t pages = 0;
  if (statm.size() > 1 && absl::SimpleAtoi(statm[1], &pages))
    usage.resident_bytes = pages * sysconf(_SC_PAGESIZE);
  usage.processes = usage.resident_bytes > 0 ? 1 : 0;
  return usage;
}

Usage UsageOfTree(pid_t pid) {
  Usage usage;
  std::vector<pid_t> left = {pid};
  while (!left.empty() && usage.processes < kMostProcesses) {
    const pid_t p = left.back();
    left.pop_back();
    const std::vector<std::string> stat = Stat(p);
    if (stat.empty()) continue;
    // User and system time, its own and that of the children it has waited for.
    int64_t ticks = 0;
    for (size_t field = 14; field <= 17; ++field) ticks += Number(stat, field);
    usage.cpu_seconds += static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
    usage.resident_bytes += Number(stat, 24) * sysconf(_SC_PAGESIZE);
    ++usage.processes;
    const std::string tasks = absl::StrCat("/proc/", p, "/task");
    for (const std::string& task : List(tasks)) {
      const std::string children = Read(absl::StrCat(tasks, "/", task, "/children"));
      for (absl::string_view child : absl::StrSplit(children, ' ', absl::SkipEmpty()))
        if (pid_t c = 0; absl::SimpleAtoi(child, &c)) left.push_back(c);
    }
  }
  return usage;
}

pid_t ParentOf(pid_t pid) {
  return static_cast<pid_t>(Number(Stat(pid), 4));
}

int TasksOfThisUserBesides(const std::set<pid_t>& roots) {
  struct Process {
    pid_t parent;
    int tasks;  // 0: another user's
  };
  std::map<pid_t, Process> all;
  for (const std::string& name : List("/proc")) {
    struct stat found = {};
    if (stat(absl::StrCat("/proc/", name).c_str(), &found) != 0) continue;
    const pid_t pid = std::atoi(name.c_str());
    const std::vector<std::string> fields = Stat(pid);
    all[pid] = {static_cast<pid_t>(Number(fields, 4)),
                found.st_uid == getuid() ? static_cast<int>(Number(fields, 20)) : 0};
  }
  int tasks = 0;
  for (const auto& [pid, process] : all) {
    pid_t ancestor = pid;
    // Up to a root, to the first process (whose parent is 0), or to one that has just ended: who
    // dies in this moment is a descendant of a root, or one of few.
    for (auto at = all.find(pid); at != all.end() && !roots.contains(ancestor);
         at = all.find(ancestor))
      ancestor = at->second.parent;
    if (ancestor == 0) tasks += process.tasks;
  }
  return tasks;
}

}  // namespace hone::sandbox
