// The REPL client and its pool against a process that plays transcripts and faults.

#include "libs/reward/lean/repl.h"

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "libs/base/file.h"
#include "tests/reward_lean/fake.h"

namespace hone::lean {
namespace {

using testing::Count;
using testing::FakeRepl;
using testing::In;

namespace fs = std::filesystem;
using nlohmann::json;

std::string Read(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, 64 << 20);
  REQUIRE_OK(text);
  return *text;
}

std::vector<std::string> Frames(const std::string& path) {
  FrameReader reader(64 << 20);
  REQUIRE_OK(reader.Feed(Read(path) + "\n\n"));
  std::vector<std::string> frames;
  while (auto frame = reader.Next()) frames.push_back(*frame);
  return frames;
}

// Plays the commands of transcripts, pairs of commands and replies, and compares each reply with
// what was recorded, read by another way. How many replies there were.
int Replay(const std::vector<std::pair<std::string, std::string>>& transcripts) {
  std::vector<std::string> arguments{"replay"};
  for (const auto& [in, out] : transcripts) {
    arguments.push_back(in);
    arguments.push_back(out);
  }
  auto repl = Repl::Start(FakeRepl(arguments));
  REQUIRE_OK(repl);
  int count = 0;
  for (const auto& [in, out] : transcripts) {
    INFO(in);
    const std::vector<std::string> commands = Frames(in), replies = Frames(out);
    REQUIRE(replies.size() <= commands.size());
    for (size_t i = 0; i < replies.size(); ++i, ++count) {
      // As it stands in the file: line ends within a command mean nothing to a REPL.
      const absl::StatusOr<Reply> reply = (*repl)->RunJson(commands[i], In(20));
      REQUIRE_OK(reply);
      const json want = json::parse(replies[i]);
      std::optional<int64_t> env;
      if (want.contains("env")) env = want["env"].get<int64_t>();
      std::optional<std::string> error;
      if (want.contains("message")) error = want["message"].get<std::string>();
      CHECK(reply->env == env);
      CHECK(reply->error == error);
      CHECK(reply->sorries == static_cast<int64_t>(want.value("sorries", json::array()).size()));
      const json messages = want.value("messages", json::array());
      REQUIRE(reply->messages.size() == messages.size());
      for (size_t k = 0; k < messages.size(); ++k) {
        CHECK(reply->messages[k].data == messages[k]["data"]);
        CHECK(reply->messages[k].line == messages[k]["pos"]["line"]);
        CHECK((reply->messages[k].severity == Message::Severity::kError) ==
              (messages[k]["severity"] == "error"));
      }
    }
  }
  CHECK(count > 0);
  return count;
}

TEST_CASE("transcripts are read as they were recorded", "[reward_lean]") {
  const fs::path folder = fs::path(HONE_FAKE_REPL).parent_path() / "transcripts";
  CHECK(Replay({{folder / "sorry.in", folder / "sorry.expected.out"},
                {folder / "environments.in", folder / "environments.expected.out"}}) == 7);
}

TEST_CASE("the public REPL's transcripts are read as they were recorded", "[reward_lean]") {
  const char* data = std::getenv("HONE_DATA");
  if (data == nullptr) HONE_SKIP("HONE_DATA is not set");
  std::vector<std::pair<std::string, std::string>> transcripts;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(data) / "lean/repl")) {
    fs::path out = entry.path();
    if (out.extension() == ".in" && fs::exists(out.replace_extension(".expected.out")))
      transcripts.emplace_back(entry.path(), out);
  }
  CHECK(transcripts.size() == 71);
  CHECK(Replay(transcripts) > 100);
}

std::unique_ptr<Repl> Prover(ReplOptions options = FakeRepl({"prove"})) {
  auto repl = Repl::Start(options);
  REQUIRE_OK(repl);
  REQUIRE_OK((*repl)->Run({"import Mathlib", std::nullopt, false}, In(20)));
  return *std::move(repl);
}

TEST_CASE("each fault has its own error, and the process is gone after it", "[reward_lean]") {
  const auto fault = [](const std::string& name, double seconds = 20) {
    ReplOptions options = FakeRepl({"prove"});
    options.process.memory_bytes = int64_t{1} << 30;
    const std::unique_ptr<Repl> repl = Prover(options);
    const absl::Status status = repl->Run({"exact fault_" + name, 0, false}, In(seconds)).status();
    CHECK_FALSE(repl->Alive());
    CHECK_CODE(repl->Run({"again", 0, false}, In(1)), absl::StatusCode::kAborted);
    INFO(status);
    return status.code();
  };
  CHECK(fault("hang", 0.3) == absl::StatusCode::kDeadlineExceeded);
  CHECK(fault("partial", 0.3) == absl::StatusCode::kDeadlineExceeded);
  CHECK(fault("crash") == absl::StatusCode::kAborted);
  CHECK(fault("cut") == absl::StatusCode::kAborted);
  CHECK(fault("memory") == absl::StatusCode::kResourceExhausted);
  CHECK(fault("huge") == absl::StatusCode::kOutOfRange);
  CHECK(fault("garbage") == absl::StatusCode::kDataLoss);
  CHECK(fault("nan") == absl::StatusCode::kDataLoss);
  CHECK(fault("types") == absl::StatusCode::kDataLoss);
}

TEST_CASE("a reply that nobody asked for is never taken for another's", "[reward_lean]") {
  const std::unique_ptr<Repl> repl = Prover();
  absl::Status status = repl->Run({"exact fault_twice", 0, false}, In(20)).status();
  if (status.ok()) {  // the second one came after the first was read
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    status = repl->Run({"trivial", 0, false}, In(20)).status();
  }
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK_FALSE(repl->Alive());
}

TEST_CASE("large commands go through, and programs that do not start are errors", "[reward_lean]") {
  const std::unique_ptr<Repl> repl = Prover();
  const std::string big(3 << 20, ' ');
  CHECK_OK(repl->Run({big + "trivial", 0, false}, In(20)));
  ReplOptions none;
  none.process.argv = {"/nowhere/lake", "exe", "repl"};
  auto missing = Repl::Start(none);
  REQUIRE_OK(missing);  // the shell starts
  const absl::Status status = (*missing)->Run({"", std::nullopt, false}, In(20)).status();
  CHECK(status.code() == absl::StatusCode::kAborted);
  CHECK(absl::StrContains(status.message(), "/nowhere/lake"));
}

TEST_CASE("a child gets nothing of ours but what it was given", "[reward_lean]") {
  setenv("HONE_TEST_SECRET", "sk-secret", 1);
  testing::TempDir folder;
  ReplOptions options;
  options.process.argv = {"/bin/sh", "-c",
                          "{ env; ls /proc/self/fd; ulimit -v; ps -o pgid= -p $$ 2>/dev/null; } > "
                          "out; echo '{\"env\": 0}'; echo; cat"};
  options.process.environment = {"PATH=/usr/bin:/bin", "GIVEN=1"};
  options.process.directory = folder.path();
  options.process.memory_bytes = int64_t{512} << 20;
  auto process = Process::Start(options.process);
  REQUIRE_OK(process);
  absl::string_view nothing;
  REQUIRE_OK((*process)->Exchange(&nothing, In(20)));
  const std::string out = Read(folder.path() + "/out");
  CHECK(absl::StrContains(out, "GIVEN=1"));
  CHECK_FALSE(absl::StrContains(out, "secret"));
  CHECK(absl::StrContains(out, "\n524288\n"));
  CHECK_FALSE(absl::StrContains(out, "\n9\n"));  // no descriptor of ours
  // A grandchild dies with the group.
  CHECK((*process)->Running());
  CHECK_FALSE((*process)->End());
  CHECK((*process)->ending() == "signal 9 (Killed)");
}

PoolOptions Pool(const std::string& log, int processes, int max_uses = 100) {
  PoolOptions options;
  options.repl = FakeRepl({"prove"}, log);
  options.processes = processes;
  options.max_uses = max_uses;
  return options;
}

TEST_CASE("a header is imported once for many proofs", "[reward_lean]") {
  testing::TempDir folder;
  const std::string log = folder.path() + "/log";
  ReplPool pool(Pool(log, 2, 3));
  for (int i = 0; i < 3; ++i) {
    auto lease = pool.Acquire("import A", In(20));
    REQUIRE_OK(lease);
    CHECK(lease->used() == (i > 0));
    CHECK_OK(lease->repl().Run({"trivial", lease->env(), false}, In(20)));
  }
  CHECK(Count(log, "header") == 1);
  REQUIRE_OK(pool.Acquire("import A", In(20)));  // used up: a new one
  CHECK(Count(log, "header") == 2);
  REQUIRE_OK(pool.Acquire("import B", In(20)));  // in the free place
  REQUIRE_OK(pool.Acquire("import A", In(20)));
  CHECK(Count(log, "header") == 3);
  REQUIRE_OK(pool.Acquire("import C", In(20)));  // in the place of B, which was idle longest
  REQUIRE_OK(pool.Acquire("import A", In(20)));
  CHECK(Count(log, "header") == 4);
  REQUIRE_OK(pool.Acquire("import B", In(20)));
  CHECK(Count(log, "header") == 5);
  CHECK(pool.counts().started == 5);
  CHECK(pool.counts().reused == 4);
}

TEST_CASE("a process that died is replaced, one that is busy is waited for", "[reward_lean]") {
  testing::TempDir folder;
  const std::string log = folder.path() + "/log";
  ReplPool pool(Pool(log, 1));
  {
    auto lease = pool.Acquire("import A", In(20));
    REQUIRE_OK(lease);
    CHECK_FALSE(lease->repl().Run({"fault_crash", lease->env(), false}, In(20)).ok());
  }
  auto lease = pool.Acquire("import A", In(20));
  REQUIRE_OK(lease);
  CHECK_FALSE(lease->used());
  CHECK(Count(log, "header") == 2);
  CHECK_CODE(pool.Acquire("import A", In(0.05)), absl::StatusCode::kUnavailable);
  std::thread waiter([&] { CHECK_OK(pool.Acquire("import A", In(20))); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  { const ReplPool::Lease ended = *std::move(lease); }
  waiter.join();
  CHECK(Count(log, "header") == 2);
}

TEST_CASE("headers that Lean refuses, crash it or take too long", "[reward_lean]") {
  ReplPool pool(Pool("", 1));
  CHECK_CODE(pool.Acquire("import NoSuchModule", In(20)), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(pool.Acquire("open header_error", In(20)), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(pool.Acquire("header_crash", In(20)), absl::StatusCode::kUnavailable);
  CHECK_CODE(pool.Acquire("header_hang", In(0.3)), absl::StatusCode::kUnavailable);
  CHECK_OK(pool.Acquire("import A", In(20)));
  PoolOptions options = Pool("", 1);
  options.header_timeout = std::chrono::milliseconds(300);
  CHECK_CODE(ReplPool(options).Acquire("header_hang", In(20)), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace hone::lean
