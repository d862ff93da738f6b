// Runs every attempt of escapes/ in one sandbox and looks for what came of it. A program of its
// own, so that it can be another user, or in an emulated restricted pod. Prints what escaped, and
// exits with 0, 1 (something did), or 77 (this machine does not have the level, and why).
//
//   escape_suite ESCAPES LEVEL [uid=N] [pod] [quick]

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/sandbox/cgroup.h"
#include "libs/sandbox/sandbox.h"
#include "tests/sandbox/pod.h"

namespace hone::sandbox {
namespace {
using namespace std::chrono_literals;

// What attempts write to, in these folders and under this key of System V: not what those of
// another suite do, which may run beside this one.
constexpr const char* kTargets[] = {"/tmp", "/dev/shm", "/var/tmp", "/run", "/home"};
std::string Name() {
  static const std::string name = absl::StrCat("hone-escape-", getpid());
  return name;
}
key_t Key() {
  return 0x48000000 + getpid();
}
constexpr char kSecret[] = "the secret of the machine";

struct Attempt {
  std::string name, source;
};

// The prelude, and the attempts of the other files of `folder`.
std::vector<Attempt> Load(const std::string& folder, std::string* prelude) {
  std::vector<Attempt> attempts;
  const auto read = [&](absl::string_view name) {
    const auto text = ReadFile(absl::StrCat(folder, "/", name), 1 << 20);
    if (!text.ok()) Fail(text.status().ToString());
    return *text;
  };
  *prelude = read("prelude.py");
  for (absl::string_view name : {"reach.py", "exhaust.py"}) {
    std::vector<std::string> blocks = absl::StrSplit(read(name), "\n#: ");
    for (size_t i = 1; i < blocks.size(); ++i) {
      const size_t line = blocks[i].find('\n');
      attempts.push_back({blocks[i].substr(0, line), blocks[i].substr(line + 1)});
    }
  }
  return attempts;
}

std::string ChildrenOfThisProcess() {
  std::string children;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
    children += ReadFile(task.path() / "children", 1 << 16).value_or("");
  return children;
}

// What a sandbox must leave as it was.
struct Outside {
  std::string secret_folder, secret;
  pid_t sibling = 0;

  Outside() {
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);  // whatever is left behind becomes a child
    std::string name = "/tmp/hone-secret-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) Fail("no folder for a secret");
    secret_folder = name;
    chmod(secret_folder.c_str(), 0755);
    secret = secret_folder + "/secret";
    if (!WriteFileAtomically(secret, kSecret).ok()) Fail("no secret");
    chmod(secret.c_str(), 0644);
    before_ = Look();
    sibling = fork();
    if (sibling == 0) {
      while (true) pause();
    }
  }
  void Remove() {
    kill(sibling, SIGKILL);
    waitpid(sibling, nullptr, 0);
    std::filesystem::remove_all(secret_folder);
    // Without isolation attempts succeed.
    for (const char* folder : kTargets) unlink(absl::StrCat(folder, "/", Name()).c_str());
    shmctl(shmget(Key(), 0, 0), IPC_RMID, nullptr);
    msgctl(msgget(Key(), 0), IPC_RMID, nullptr);
    semctl(semget(Key(), 0, 0), 0, IPC_RMID);
    syscall(SYS_mq_unlink, Name().c_str());
  }
  // Empty: all is as before.
  std::string Changes() const {
    const std::string now = Look();
    if (now != before_) return absl::StrCat("before:\n", before_, "now:\n", now);
    if (waitpid(sibling, nullptr, WNOHANG) != 0) return "the sibling is dead";
    return "";
  }

 private:
  std::string Look() const {
    struct stat s = {};
    stat(secret.c_str(), &s);
    rlimit files = {};
    getrlimit(RLIMIT_NOFILE, &files);
    std::string all = absl::StrCat("secret: ", ReadFile(secret, 1000).value_or("?"), " ", s.st_mode,
                                   " ", s.st_mtime, " ", s.st_nlink, "\nlimit: ", files.rlim_cur,
                                   "\npriority: ", getpriority(PRIO_PROCESS, 0), " ",
                                   sched_getscheduler(0), "\n");
    absl::StrAppend(&all, "shared memory, messages, semaphores: ", shmget(Key(), 0, 0) >= 0, " ",
                    msgget(Key(), 0) >= 0, " ", semget(Key(), 0, 0) >= 0, "\n");
    for (const char* folder : kTargets)
      absl::StrAppend(&all, folder, ": ", access(absl::StrCat(folder, "/", Name()).c_str(), F_OK),
                      "\n");
    return all;
  }
  std::string before_;
};

class Suite {
 public:
  Suite(Sandbox& sandbox, const Outside& outside, const std::string& prelude)
      : sandbox_(sandbox),
        outside_(outside),
        prelude_(absl::StrCat(prelude, "\nHOST = ", getpid(), "\nSIBLING = ", outside.sibling,
                              "\nSECRET = '", outside.secret, "'\nNAME = '", Name(),
                              "'\nKEY = ", Key(), "\n")) {}

  void Run(const Attempt& attempt, bool processes) {
    Task task;
    const std::string source = prelude_ + attempt.source;
    if (processes) {
      task.argv = {"/usr/bin/python3", "-I", "-S", "-c", source};
      task.limits.processes = 8;
    } else {
      task.language = Language::kPython;
      task.source = source;
    }
    task.limits.cpu_seconds = 0.4;
    task.limits.wall_seconds = 1.5;
    task.limits.memory_bytes = int64_t{96} << 20;
    task.limits.output_bytes = 1 << 16;
    task.limits.file_bytes = 4 << 20;
    task.outputs = {"out", "dir/out", "link", "dir/secret", "../../secret"};
    task.outputs.pop_back();  // that one is refused, which another test sees
    const auto result = sandbox_.Run(task, SystemClock::Get().Now() + 60s);
    const std::string name = absl::StrCat(attempt.name, processes ? " (processes)" : "");
    if (!result.ok())
      return Report(name, absl::StrCat("the sandbox failed: ", result.status().ToString()));
    if (absl::StrContains(result->stdout_data, "ESCAPED")) Report(name, result->stdout_data);
    if (absl::StrContains(result->stderr_data, "SyntaxError")) Report(name, result->stderr_data);
    for (const File& f : result->outputs)
      if (absl::StrContains(f.contents, kSecret))
        Report(name, absl::StrCat("brought the secret out as ", f.path));
    if (result->wall_seconds > 20) Report(name, absl::StrCat("took ", result->wall_seconds, " s"));
    const std::string changes = outside_.Changes();
    if (!changes.empty()) Report(name, changes);
  }

  int escapes() const { return escapes_; }

 private:
  void Report(const std::string& name, const std::string& what) {
    const std::lock_guard lock(mu_);
    ++escapes_;
    std::printf("ESCAPE by '%s': %s\n", name.c_str(), what.c_str());
  }

  Sandbox& sandbox_;
  const Outside& outside_;
  const std::string prelude_;
  std::mutex mu_;
  std::atomic<int> escapes_ = 0;
};

// A program beside the others, which answers as long as nobody disturbs it.
bool Answers(Session& session) {
  const TimePoint soon = SystemClock::Get().Now() + 20s;
  if (!session.Send("ping", soon).ok()) return false;
  const auto answer = session.Receive(100, soon);
  return answer.ok() && *answer == "PING";
}

int Main(int argc, char** argv) {
  const Level level = static_cast<Level>(std::atoi(argv[2]));
  bool quick = false;
  bool pod = false;
  for (int i = 3; i < argc; ++i) {
    const absl::string_view option = argv[i];
    if (absl::StartsWith(option, "uid=")) BecomeUser(static_cast<uid_t>(std::atoi(argv[i] + 4)));
    pod = pod || option == "pod";
    quick = quick || option == "quick";
  }
  if (pod) EmulatePod();
  std::string prelude;
  const std::vector<Attempt> attempts = Load(argv[1], &prelude);
  if (attempts.size() < 60) Fail("too few attempts");
  Outside outside;

  // In a pod the most is asked for, and this level must be what comes of it.
  auto sandbox =
      Sandbox::Create({.minimum = level, .maximum = pod ? Level::kCgroups : level, .slots = 5});
  if (!sandbox.ok()) {
    outside.Remove();
    std::printf("%s\n", sandbox.status().ToString().c_str());
    return absl::IsFailedPrecondition(sandbox.status()) && !pod ? 77 : 1;
  }
  std::printf("%s", (*sandbox)->Describe().c_str());
  if ((*sandbox)->level() != level) Fail("the level is another one");

  Task neighbour;
  neighbour.language = Language::kPython;
  neighbour.source = "import os\nwhile (d := os.read(3, 100)): os.write(3, d.upper())\n";
  neighbour.limits.wall_seconds = 3600;
  auto session = (*sandbox)->Start(neighbour, SystemClock::Get().Now() + 20s);
  if (!session.ok() || !Answers(**session)) Fail("no neighbour");

  Suite suite(**sandbox, outside, prelude);
  std::atomic<size_t> next = 0;
  const size_t runs = attempts.size() * (quick ? 1 : 2);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (size_t i = 0; (i = next++) < runs;)
        suite.Run(attempts[i % attempts.size()], i >= attempts.size());
    });
  for (std::thread& t : threads) t.join();
  int escapes = suite.escapes();
  const auto expect = [&](bool ok, const std::string& what) {
    if (ok) return;
    ++escapes;
    std::printf("AFTERWARDS: %s\n", what.c_str());
  };
  expect(Answers(**session), "the neighbour does not answer");
  expect((*session)->Wait(SystemClock::Get().Now() + 20s).ok(), "the neighbour did not end");
  session->reset();
  sandbox->reset();

  expect(outside.Changes().empty(), outside.Changes());
  expect(ChildrenOfThisProcess() == absl::StrCat(outside.sibling, " "),
         absl::StrCat("processes are left: ", ChildrenOfThisProcess()));
  const std::string own = absl::StrCat("hone-sandbox-", getpid(), "-");
  for (const auto& e : std::filesystem::directory_iterator("/tmp"))
    expect(!absl::StartsWith(std::string(e.path().filename()), own),
           absl::StrCat("left: ", std::string(e.path())));
  if (const auto roots = FindCgroupRoots(); roots.ok())
    for (const std::string& root : {roots->memory, roots->pids, roots->unified})
      if (!root.empty())
        for (const auto& e : std::filesystem::directory_iterator(root))
          expect(!absl::StartsWith(std::string(e.path().filename()), own),
                 absl::StrCat("left: ", std::string(e.path())));
  expect(!absl::StrContains(ReadFile("/proc/self/mountinfo", 1 << 20).value_or(""), own),
         "a mount is left");
  outside.Remove();
  std::printf("%zu runs, %d escapes\n", runs, escapes);
  return escapes == 0 ? 0 : 1;
}
}  // namespace
}  // namespace hone::sandbox

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  return hone::sandbox::Main(argc, argv);
}
