// What a sandbox takes from the machine, and gives back.

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/sandbox/cgroup.h"
#include "libs/sandbox/sandbox.h"
#include "libs/sandbox/work_folder.h"
#include "tests/sandbox/escape_run.h"

namespace hone::sandbox {
namespace {
using namespace std::chrono_literals;

TEST_CASE("escapes: none at level 1 in an emulated restricted pod") {
  ExpectNoEscape("1 uid=10001 pod quick");
}

TEST_CASE("cgroup: roots are found in version 1, version 2 and hybrid machines") {
  const std::string v1 =
      "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "31 25 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
      "32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
  const std::string groups = "3:memory:/a\n2:pids:/b\n4:cpu,cpuacct:/\n0::/u\n";
  auto roots = FindCgroupRoots(v1, groups, "");
  REQUIRE_OK(roots);
  CHECK(roots->memory == "/sys/fs/cgroup/memory/a");
  CHECK(roots->pids == "/sys/fs/cgroup/pids/b");
  CHECK(roots->cpu == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(roots->unified.empty());

  // A container sees its own group as the root of the mount.
  const std::string v2 = "40 25 0:29 /pod/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
  roots = FindCgroupRoots(v2, "0::/pod/x/y\n", "cpu memory pids\n");
  REQUIRE_OK(roots);
  CHECK(roots->memory == "/sys/fs/cgroup/y");
  CHECK(roots->memory_is_v2);
  CHECK(roots->pids_is_v2);

  const std::string unified = "41 25 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  roots = FindCgroupRoots(v1 + unified, groups, "hugetlb\n");
  REQUIRE_OK(roots);
  CHECK_FALSE(roots->memory_is_v2);
  CHECK(roots->unified == "/sys/fs/cgroup/unified/u");

  CHECK_CODE(FindCgroupRoots("", groups, ""), absl::StatusCode::kNotFound);
  CHECK_CODE(FindCgroupRoots(unified, groups, "cpu memory"), absl::StatusCode::kNotFound);
}

TEST_CASE("work folder: only regular files beneath it are read") {
  testing::TempDir folder;
  const FileDescriptor at(open(folder.path().c_str(), O_RDONLY | O_DIRECTORY));
  REQUIRE_OK(WriteFileAtomically(folder.path() + "/file", "text"));
  mkdir((folder.path() + "/sub").c_str(), 0700);
  REQUIRE_OK(WriteFileAtomically(folder.path() + "/sub/file", "below"));
  symlink("/etc/hostname", (folder.path() + "/link").c_str());
  symlink("/etc", (folder.path() + "/etc").c_str());
  mkfifo((folder.path() + "/fifo").c_str(), 0600);
  CHECK(ReadBeneath(at.get(), "file", 10).value_or("?") == "text");
  CHECK(ReadBeneath(at.get(), "sub/file", 10).value_or("?") == "below");
  for (const char* path : {"link", "etc/hostname", "fifo", "sub", "none", "../x"})
    CHECK_CODE(ReadBeneath(at.get(), path, 10), absl::StatusCode::kNotFound);
  CHECK_CODE(ReadBeneath(at.get(), "file", 3), absl::StatusCode::kResourceExhausted);
}

TEST_CASE("work folder: what is deep and locked is removed, and what links lead to is not") {
  testing::TempDir outside;
  REQUIRE_OK(WriteFileAtomically(outside.path() + "/keep", "x"));
  testing::TempDir folder;
  const FileDescriptor at(open(folder.path().c_str(), O_RDONLY | O_DIRECTORY));
  symlink(outside.path().c_str(), (folder.path() + "/link").c_str());
  FileDescriptor deep(openat(at.get(), ".", O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 1500; ++i) {
    REQUIRE(mkdirat(deep.get(), "a folder with a long name", 0700) == 0);
    FileDescriptor next(openat(deep.get(), "a folder with a long name", O_RDONLY | O_DIRECTORY));
    deep = std::move(next);
  }
  close(openat(deep.get(), "file", O_CREAT | O_WRONLY, 0));
  fchmod(deep.get(), 0);
  CHECK(HoldsAtMost(at.get(), int64_t{64} << 20));
  CHECK_FALSE(HoldsAtMost(at.get(), 4096));  // more than 65 names
  REQUIRE_OK(Empty(at.get()));
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK(std::filesystem::exists(outside.path() + "/keep"));
}

int Children() {
  int n = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
    for (absl::string_view pid : absl::StrSplit(
             ReadFile(task.path() / "children", 1 << 16).value_or(""), ' ', absl::SkipEmpty()))
      n += pid.empty() ? 0 : 1;
  return n;
}

TEST_CASE("sandbox: many runs in several threads, bombs among them, leave nothing") {
  const Level level = GENERATE(Level::kFiltered, Level::kCgroups);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  testing::TempDir work;
  auto sandbox =
      Sandbox::Create({.minimum = level, .maximum = level, .slots = 3, .work_root = work.path()});
  if (!sandbox.ok()) HONE_SKIP(sandbox.status().ToString());
  std::atomic<int> next = 0, wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; (i = next++) < 200;) {
        Task task;
        task.language = Language::kPython;
        task.limits = {.cpu_seconds = 0.3,
                       .wall_seconds = 20,
                       .memory_bytes = 64 << 20,
                       .file_bytes = 1 << 20};
        const bool bomb = i % 40 == 39;
        task.source =
            bomb ? "import os\nif os.fork() == 0:\n  os.setsid()\nwhile True: os.fork()"
                 : "open('out', 'w').write(str(6 * 7)); print(len(__import__('os').listdir()))";
        task.limits.processes = bomb ? 6 : 1;
        task.outputs = {"out"};
        const auto r = (*sandbox)->Run(task, SystemClock::Get().Now() + 60s);
        const bool right = r.ok() && (bomb || (r->stdout_data == "1\n" && r->outputs.size() == 1 &&
                                               r->outputs[0].contents == "42"));
        if (!right) ++wrong;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  sandbox->reset();
  CHECK(Children() == 0);
  CHECK(std::filesystem::is_empty(work.path()));
}

TEST_CASE("sandbox: the death of its process ends all programs, and the next one cleans up") {
  const Level level = GENERATE(Level::kFiltered, Level::kNamespaces);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  testing::TempDir work;
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t host = fork();
  if (host == 0) {
    auto sandbox = Sandbox::Create({.minimum = level, .maximum = level, .work_root = work.path()});
    Task task;
    task.argv = {"/bin/sh", "-c", "touch file; sleep 600 & sleep 600 & echo ready >&3; wait"};
    task.limits.processes = 8;
    if (!sandbox.ok()) _exit(1);
    auto session = (*sandbox)->Start(task, SystemClock::Get().Now() + 20s);
    if (!session.ok() || !(*session)->Receive(10, SystemClock::Get().Now() + 20s).ok()) _exit(1);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    while (true) pause();
  }
  close(ready[1]);
  char c = 0;
  const bool started = read(ready[0], &c, 1) == 1;
  close(ready[0]);
  kill(host, SIGKILL);
  waitpid(host, nullptr, 0);
  if (!started) HONE_SKIP("no sandbox of this level");
  // Its processes become children of this one until they end.
  for (int i = 0; i < 500 && Children() > 0; ++i) {
    waitpid(-1, nullptr, WNOHANG);
    std::this_thread::sleep_for(10ms);
  }
  CHECK(Children() == 0);
  CHECK_FALSE(std::filesystem::is_empty(work.path()));
  const auto next =
      Sandbox::Create({.minimum = Level::kLimits, .maximum = level, .work_root = work.path()});
  REQUIRE_OK(next);
  const auto entries = std::filesystem::directory_iterator(work.path());
  CHECK(std::distance(begin(entries), end(entries)) == 1);
}

TEST_CASE("sandbox: a minimum that cannot be had is refused, with what is missing") {
  const auto sandbox = Sandbox::Create({.minimum = Level::kCgroups, .maximum = Level::kFiltered});
  REQUIRE(sandbox.status().code() == absl::StatusCode::kFailedPrecondition);
  INFO(sandbox.status().ToString());
  CHECK(absl::StrContains(sandbox.status().message(), "L1 (filtered), expected at least L3"));
}

}  // namespace
}  // namespace hone::sandbox
