// How fast small programs run, on one processor, in turns with a bare interpreter, a plain fork and
// exec, and those of bubblewrap, isolate and nsjail that are in PATH, so that a busy moment hits
// all of them:
//
//   sandbox_bench [seconds for each] [processor] [the only level, as for a profile]
//
// And whether anything is left after many runs, one in fifty of them a bomb:
//
//   sandbox_bench soak RUNS LEVEL

#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bench/sandbox/spawn.h"
#include "libs/base/file.h"
#include "libs/sandbox/cgroup.h"
#include "libs/sandbox/sandbox.h"

namespace hone::sandbox {
namespace {

constexpr char kProgram[] = "def f(x):\n  return x + 1\nassert f(1) == 2\nprint('ok')\n";

double Now() {
  return std::chrono::duration<double>(SystemClock::Get().Now().time_since_epoch()).count();
}

std::unique_ptr<Sandbox> Make(Level level, int slots) {
  auto sandbox = Sandbox::Create(
      {.minimum = level,
       .maximum = level,
       .slots = slots,
       .python_imports = {"math", "random", "re", "itertools", "functools", "collections", "heapq",
                          "bisect", "string", "json", "datetime", "typing", "copy", "operator",
                          "statistics", "decimal", "fractions"}});
  if (sandbox.ok()) return *std::move(sandbox);
  std::printf("level %d: %s\n", static_cast<int>(level), sandbox.status().ToString().c_str());
  return nullptr;
}

void RunOnce(Sandbox& sandbox) {
  Task task;
  task.language = Language::kPython;
  task.source = kProgram;
  const auto result = sandbox.Run(task, kNoDeadline);
  if (!result.ok() || result->stdout_data != "ok\n") {
    std::printf("a run failed: %s\n",
                result.ok() ? result->stderr_data.c_str() : result.status().ToString().c_str());
    std::exit(1);
  }
}

struct Way {
  std::string name;
  std::function<void()> run;
  std::vector<double> seconds;  // of each run
};

void Speed(double seconds_each, int processor, int only_level) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  sched_setaffinity(0, sizeof(one), &one);  // and all that is started from here
  sched_param first = {.sched_priority = 10};
  const bool alone = sched_setscheduler(0, SCHED_FIFO, &first) == 0;
  std::printf("processor %d, %s\n", processor,
              alone ? "before all others" : "sharing it with whoever is there");

  std::vector<Way> ways;
  std::vector<std::unique_ptr<Sandbox>> sandboxes;
  for (Level level : {Level::kFiltered, Level::kNamespaces, Level::kCgroups}) {
    if (only_level >= 0 && static_cast<int>(level) != only_level) continue;
    if (auto sandbox = Make(level, 2)) {
      Sandbox* s = sandbox.get();
      ways.push_back({absl::StrCat("level ", static_cast<int>(level)), [s] { RunOnce(*s); }, {}});
      sandboxes.push_back(std::move(sandbox));
    }
  }
  const bool others = only_level < 0;
  const std::vector<std::string> bare = {"/usr/bin/python3", "-I", "-S", "-c", kProgram};
  if (others) ways.push_back({"python3 -I -S", [&] { Spawn(bare); }, {}});
  const auto rival = [&](const std::string& name, std::vector<std::string> argv) {
    argv[0] = InPath(argv[0]);
    if (!others || argv[0].empty()) return;
    argv.insert(argv.end(), bare.begin(), bare.end());
    ways.push_back({name + ", python3 -I -S", [argv] { Spawn(argv); }, {}});
  };
  rival("bubblewrap", Bubblewrap());
  const std::string isolate = InPath("isolate");
  if (others && !isolate.empty()) Spawn({isolate, "--silent", "--init"});
  rival("isolate --run", {"isolate", "--silent", "--run", "--"});
  rival("nsjail", {"nsjail", "--really_quiet", "-Mo", "--user", "65534", "--group", "65534", "-R",
                   "/usr", "-s", "usr/lib:/lib", "-s", "usr/lib64:/lib64", "-T", "/tmp", "--"});
  if (others) ways.push_back({"fork and exec of /bin/true", [] { Spawn({"/bin/true"}); }, {}});

  for (Way& way : ways) way.run();
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round)
    for (Way& way : ways)
      for (const double end = Now() + seconds_each / kRounds; Now() < end;) {
        const double start = Now();
        way.run();
        way.seconds.push_back(Now() - start);
      }
  // A slot that is ready, as after a pause.
  std::printf("%-28s %9s %9s %9s %14s\n", "", "per s", "p50 ms", "p99 ms", "warm p50 ms");
  for (size_t i = 0; i < ways.size(); ++i) {
    std::vector<double>& s = ways[i].seconds;
    double sum = 0;
    for (double x : s) sum += x;
    std::sort(s.begin(), s.end());
    std::printf("%-28s %9.0f %9.2f %9.2f", ways[i].name.c_str(),
                static_cast<double>(s.size()) / sum, s[s.size() / 2] * 1e3,
                s[s.size() * 99 / 100] * 1e3);
    if (i < sandboxes.size()) {
      std::vector<double> warm;
      for (int n = 0; n < 100; ++n) {
        usleep(20000);
        Task task;
        task.language = Language::kPython;
        task.source = kProgram;
        const auto result = sandboxes[i]->Run(task, kNoDeadline);
        if (result.ok()) warm.push_back(result->wall_seconds);
      }
      std::sort(warm.begin(), warm.end());
      std::printf(" %14.2f", warm[warm.size() / 2] * 1e3);
    }
    std::printf("\n");
  }
  if (others && !isolate.empty()) Spawn({isolate, "--silent", "--cleanup"});
}

std::string Children() {
  std::string children;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
    children += ReadFile(task.path() / "children", 1 << 16).value_or("");
  return children;
}

int Soak(int runs, Level level) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  constexpr const char* kBombs[] = {
      "import os\nwhile True: os.fork()",
      "import os, time\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: time.sleep(999)\n",
      "a = []\nwhile True: a.append(bytearray(1 << 22))",
      "import os\nn = 0\nwhile True:\n  open(f'f{n}', 'w').write('x' * 9999); n += 1",
      "import os\nfor n in range(500): os.mkdir('d'); os.chdir('d')",
      "while True: print('x' * 9999)",
      "while True: pass",
  };
  auto sandbox = Make(level, 2);
  if (sandbox == nullptr) return 1;
  std::printf("%s", sandbox->Describe().c_str());
  std::atomic<int> next = 0, failed = 0;
  std::atomic<int> endings[7] = {};
  const double start = Now();
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (int i = 0; (i = next++) < runs;) {
        Task task;
        task.language = Language::kPython;
        task.source = i % 50 == 49 ? kBombs[i / 50 % std::size(kBombs)] : kProgram;
        task.limits = {.cpu_seconds = 0.2,
                       .wall_seconds = 10,
                       .memory_bytes = 64 << 20,
                       .output_bytes = 1 << 16,
                       .file_bytes = 1 << 20};
        task.limits.processes = i % 100 == 99 ? 8 : 1;
        const auto result = sandbox->Run(task, kNoDeadline);
        if (result.ok()) {
          ++endings[static_cast<int>(result->ending)];
        } else if (failed++ == 0) {
          std::printf("%s\n", result.status().ToString().c_str());
        }
      }
    });
  for (std::thread& t : threads) t.join();
  std::printf(
      "%d runs in %.0f s; exited %d, signalled %d, limits: CPU %d, wall %d, memory %d, output %d; "
      "failed %d\n",
      runs, Now() - start, endings[0].load(), endings[1].load(), endings[2].load(),
      endings[3].load(), endings[4].load(), endings[5].load(), failed.load());
  sandbox.reset();
  int left = Children().empty() ? 0 : 1;
  const std::string own = absl::StrCat("hone-sandbox-", getpid(), "-");
  std::vector<std::string> places = {"/tmp"};
  if (const auto roots = FindCgroupRoots(); roots.ok())
    places.insert(places.end(), {roots->memory, roots->pids, roots->unified});
  for (const std::string& place : places)
    if (!place.empty())
      for (const auto& e : std::filesystem::directory_iterator(place))
        if (absl::StartsWith(std::string(e.path().filename()), own)) ++left;
  std::printf("left behind (processes, work folders, control groups): %d\n", left);
  return left + failed;
}
}  // namespace
}  // namespace hone::sandbox

int main(int argc, char** argv) {
  using namespace hone::sandbox;
  if (argc == 4 && std::string(argv[1]) == "soak")
    return Soak(std::atoi(argv[2]), static_cast<Level>(std::atoi(argv[3])));
  Speed(argc > 1 ? std::atof(argv[1]) : 5, argc > 2 ? std::atoi(argv[2]) : 1,
        argc > 3 ? std::atoi(argv[3]) : -1);
}
