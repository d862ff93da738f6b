// Every way to end, and what comes back.

#include "libs/sandbox/sandbox.h"
#include "tests/testing/test.h"

namespace hone::sandbox {
namespace {
using namespace std::chrono_literals;

TimePoint In(Duration d) {
  return SystemClock::Get().Now() + d;
}

// Null where this machine does not have the level.
std::unique_ptr<Sandbox> Make(Level level) {
  auto sandbox = Sandbox::Create({.minimum = level, .maximum = level, .slots = 2});
  if (absl::IsFailedPrecondition(sandbox.status())) return nullptr;
  REQUIRE_OK(sandbox);
  CHECK((*sandbox)->level() == level);
  return *std::move(sandbox);
}

// Each test at each level.
#define SANDBOX_OR_SKIP(sandbox)                                                       \
  const Level level =                                                                  \
      GENERATE(Level::kLimits, Level::kFiltered, Level::kNamespaces, Level::kCgroups); \
  INFO("level " << static_cast<int>(level));                                           \
  auto sandbox = Make(level);                                                          \
  if (sandbox == nullptr) HONE_SKIP("this machine does not have the level")

Result Python(Sandbox& sandbox, std::string source, Limits limits = {}) {
  Task task;
  task.language = Language::kPython;
  task.source = std::move(source);
  task.limits = limits;
  auto result = sandbox.Run(task, In(60s));
  REQUIRE_OK(result);
  return *std::move(result);
}

TEST_CASE("sandbox: a Python program's output and exit code come back") {
  SANDBOX_OR_SKIP(sandbox);
  const Result r =
      Python(*sandbox, "import sys\nprint('hello')\nprint('no', file=sys.stderr)\nsys.exit(7)");
  CHECK(r.ending == Ending::kExited);
  CHECK(r.exit_code == 7);
  CHECK(r.stdout_data == "hello\n");
  CHECK(r.stderr_data == "no\n");
}

TEST_CASE("sandbox: a Python error prints its own lines only") {
  SANDBOX_OR_SKIP(sandbox);
  const Result r = Python(*sandbox, "def f():\n  return 1 / 0\nf()\n");
  CHECK(r.exit_code == 1);
  CHECK(r.stderr_data ==
        "Traceback (most recent call last):\n  File \"main.py\", line 3, in <module>\n    f()\n"
        "  File \"main.py\", line 2, in f\n    return 1 / 0\n           ~~^~~\n"
        "ZeroDivisionError: division by zero\n");
}

TEST_CASE("sandbox: endless loops, sleepers, hoarders and babblers end as what they are") {
  SANDBOX_OR_SKIP(sandbox);
  CHECK(Python(*sandbox, "while True: pass", {.cpu_seconds = 0.2}).ending == Ending::kCpuLimit);
  CHECK(Python(*sandbox, "import time; time.sleep(99)", {.wall_seconds = 0.2}).ending ==
        Ending::kWallLimit);
  CHECK(Python(*sandbox, "x = bytearray(1 << 30)").ending == Ending::kMemoryLimit);
  const Result r = Python(*sandbox, "while True: print('x' * 1000)", {.output_bytes = 5000});
  CHECK(r.ending == Ending::kOutputLimit);
  CHECK(r.stdout_data.size() == 5000);
  const Result s = Python(*sandbox, "import os; os.abort()");
  CHECK(s.ending == Ending::kSignalled);
  CHECK(s.signal == 6);
}

TEST_CASE("sandbox: files go in and come out") {
  SANDBOX_OR_SKIP(sandbox);
  Task task;
  task.argv = {"/bin/sh", "-c", "cat in/a.txt; cat; echo done > out.txt; ls in"};
  task.files = {{"in/a.txt", "first\n"}};
  task.stdin_data = "second\n";
  task.outputs = {"out.txt", "missing.txt"};
  task.limits.processes = 8;
  const auto r = sandbox->Run(task, In(10s));
  REQUIRE_OK(r);
  CHECK(r->stdout_data == "first\nsecond\na.txt\n");
  REQUIRE(r->outputs.size() == 1);
  CHECK(r->outputs[0].contents == "done\n");
}

TEST_CASE("sandbox: a session talks over descriptor 3") {
  SANDBOX_OR_SKIP(sandbox);
  Task task;
  task.language = Language::kPython;
  task.source =
      "import socket\ns = socket.socket(fileno=3)\nwhile (d := s.recv(100)): "
      "s.sendall(d.upper())\n";
  auto session = sandbox->Start(task, In(10s));
  REQUIRE_OK(session);
  for (const char* word : {"one", "two"}) {
    REQUIRE_OK((*session)->Send(word, In(5s)));
    const auto answer = (*session)->Receive(100, In(5s));
    REQUIRE_OK(answer);
    CHECK(*answer == (std::string(word) == "one" ? "ONE" : "TWO"));
  }
  CHECK_CODE((*session)->Receive(100, In(50ms)), absl::StatusCode::kDeadlineExceeded);
  const auto r = (*session)->Wait(In(5s));
  REQUIRE_OK(r);
  CHECK(r->ending == Ending::kExited);
  CHECK(r->exit_code == 0);
}

TEST_CASE("sandbox: CPU time and memory are those of all processes") {
  SANDBOX_OR_SKIP(sandbox);
  Task task;
  task.argv = {"/bin/sh", "-c", "(while :; do :; done) & (while :; do :; done) & wait"};
  task.limits.processes = 8;
  task.limits.cpu_seconds = 0.3;
  auto r = sandbox->Run(task, In(60s));
  REQUIRE_OK(r);
  CHECK(r->ending == Ending::kCpuLimit);
  CHECK(r->cpu_seconds >= 0.3);
  // Shared memory, which limits on addresses alone would not see in children.
  task.argv = {"/usr/bin/python3", "-I", "-S", "-c",
               "import mmap, os, sys, time\nfor _ in range(6):\n  if os.fork() == 0:\n"
               "    m = mmap.mmap(-1, 60 << 20)\n"
               "    for _ in range(60): m.write(b'x' * (1 << 20))\n    time.sleep(99)\n"
               "sys.exit(os.wait()[1] != 0)\n"};
  task.limits = {.wall_seconds = 60, .memory_bytes = 80 << 20, .processes = 16};
  r = sandbox->Run(task, In(60s));
  REQUIRE_OK(r);
  INFO(r->stderr_data);
  CHECK(r->ending == Ending::kMemoryLimit);
}

TEST_CASE("sandbox: a deadline cancels, and a kill does") {
  SANDBOX_OR_SKIP(sandbox);
  Task task;
  task.language = Language::kPython;
  task.source = "import time\nprint('begun', flush=True)\ntime.sleep(99)";
  const auto r = sandbox->Run(task, In(500ms));
  REQUIRE_OK(r);
  CHECK(r->ending == Ending::kCancelled);
  auto session = sandbox->Start(task, In(10s));
  REQUIRE_OK(session);
  (*session)->Kill();
  const auto killed = (*session)->Wait(In(10s));
  REQUIRE_OK(killed);
  CHECK(killed->ending == Ending::kCancelled);
}

TEST_CASE("sandbox: the same program does the same in every slot") {
  SANDBOX_OR_SKIP(sandbox);
  const std::string source =
      "import random\nprint(random.random(), list({'a', 'b', 'c', 'd', 'e'}), __name__, "
      "len(dir()))";
  const Result first = Python(*sandbox, source);
  for (int i = 0; i < 3; ++i) CHECK(Python(*sandbox, source).stdout_data == first.stdout_data);
  // Another forker: the same again.
  CHECK(Python(*Make(level), source).stdout_data == first.stdout_data);
}

TEST_CASE("sandbox: modules that are given are in every program, as they were given") {
  Options options{.minimum = Level::kLimits, .maximum = Level::kFiltered};
  options.python_imports = {"json"};
  options.python_modules = {{"first", "import json\nlist = [json.loads('1')]\n"},
                            {"second", "from first import list\nlist.append(2)\n"}};
  auto sandbox = Sandbox::Create(options);
  REQUIRE_OK(sandbox);
  for (int i = 0; i < 3; ++i) {
    const Result r = Python(**sandbox,
                            "import os, sys, second\nsecond.list.append(3)\n"
                            "print(second.list, 'json' in sys.modules, sorted(os.environ))");
    CHECK(r.stdout_data == "[1, 2, 3] True ['HOME', 'LANG', 'PATH', 'PYTHONHASHSEED']\n");
    CHECK(r.stderr_data == "");
  }
  options.python_modules.push_back({"broken", "import no_such_module\n"});
  sandbox = Sandbox::Create(options);
  REQUIRE_OK(sandbox);  // the interpreter starts with the first Python task
  Task task;
  task.language = Language::kPython;
  CHECK_CODE((*sandbox)->Run(task, In(60s)), absl::StatusCode::kUnavailable);
}

TEST_CASE("sandbox: calls beyond the slots wait, and give up at their deadline") {
  auto made = Sandbox::Create({.minimum = Level::kLimits, .maximum = Level::kFiltered, .slots = 1});
  REQUIRE_OK(made);
  Task task;
  task.language = Language::kPython;
  task.source = "import os; os.read(3, 1)";
  auto session = (*made)->Start(task, In(10s));
  REQUIRE_OK(session);
  CHECK_CODE((*made)->Run(task, In(50ms)), absl::StatusCode::kDeadlineExceeded);
  session->reset();
  CHECK_OK((*made)->Run(task, In(10s)));
}

TEST_CASE("sandbox: what cannot run is the caller's error") {
  SANDBOX_OR_SKIP(sandbox);
  Task task;
  task.argv = {"/nonexistent"};
  CHECK_CODE(sandbox->Run(task, In(5s)), absl::StatusCode::kInvalidArgument);
  task.argv = {};
  CHECK_CODE(sandbox->Run(task, In(5s)), absl::StatusCode::kInvalidArgument);
  task.argv = {"/bin/true"};
  task.files = {{"../escape", ""}};
  CHECK_CODE(sandbox->Run(task, In(5s)), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone::sandbox
