#include <string>

#include "absl/strings/str_cat.h"
#include "tests/cli/coordinator.h"

namespace hone::testing {
namespace {

using Catch::Matchers::Contains;

constexpr char kPrompts[] =
    "{\"id\":\"a\",\"prompt\":\"1+1?\",\"answer\":\"2\"}\n"
    "{\"id\":\"b\",\"prompt\":\"2+2?\",\"answer\":\"4\"}";  // no newline at the end

constexpr char kRun[] = R"(name: sums
model:
  path: model
  random_init: true
stages:
  - name: learn
    grpo:
      prompt_set: sums
      steps: 2
      prompts_per_step: 1
      group_size: 2
      sampling:
        max_new_tokens: 4
      optimizer:
        learning_rate: 1e-3
reward:
  scorers:
    - name: math
checkpoint:
  path: checkpoints
)";

TEST_CASE("wrong usage is exit code 2 with a suggestion", "[cli]") {
  const Outcome unknown = Hone({"prmpts", "list"});
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.err, Contains("did you mean \"prompts\"?"));
  CHECK(unknown.out.empty());
  const Outcome nested = Hone({"run", "wach", "x"});
  CHECK(nested.code == 2);
  CHECK_THAT(nested.err, Contains("did you mean \"watch\"?"));
  const Outcome option = Hone({"status", "--coordinater", "x:1"});
  CHECK(option.code == 2);
  CHECK_THAT(option.err, Contains("did you mean \"--coordinator\"?"));
  CHECK(Hone({}).code == 2);
  CHECK(Hone({"status", "--timeout", "soon"}).code == 2);
  const Outcome help = Hone({"--help"});
  CHECK(help.code == 0);
  CHECK_THAT(help.out, Contains("prompts"));
}

TEST_CASE("an absent coordinator is exit code 4 and is named", "[cli]") {
  const Outcome status = Hone({"status", "--coordinator", "127.0.0.1:1", "--timeout", "2s"});
  CHECK(status.code == 4);
  CHECK_THAT(status.err, Contains("error: coordinator at 127.0.0.1:1"));
}

TEST_CASE("a prompt file becomes a sealed set, once", "[cli]") {
  TestCoordinator coordinator;
  TempDir dir;
  const std::string file = WriteText(dir, "p.jsonl", kPrompts);
  const auto hone = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--coordinator", coordinator.address()});
    return Hone(arguments);
  };
  const Outcome first = hone({"prompts", "upload", file, "--set", "sums"});
  CHECK(first.err == "");
  CHECK(first.code == 0);
  CHECK(first.out == "sums: 2 prompts, sealed\n");
  // Again: nothing to do. Another file: refused.
  CHECK(hone({"prompts", "upload", file, "--set", "sums"}).code == 0);
  const std::string other = WriteText(dir, "q.jsonl", "{\"prompt\":\"3+3?\"}\n");
  const Outcome second = hone({"prompts", "upload", other, "--set", "sums"});
  CHECK(second.code == 1);
  CHECK_THAT(second.err, Contains("holds something else"));

  const Outcome list = hone({"prompts", "list", "-o", "jsonl"});
  CHECK_THAT(list.out, Contains("\"id\":\"sums\"") && Contains("\"prompts\":\"2\""));
  CHECK(hone({"prompts", "get", "nothing"}).code == 3);
  CHECK(hone({"prompts", "delete", "sums"}).code == 0);
  CHECK(hone({"prompts", "get", "sums"}).code == 3);
}

TEST_CASE("a broken upload is taken up where it ended", "[cli]") {
  TestCoordinator coordinator;
  TempDir dir;
  const std::string head = WriteText(dir, "head.jsonl", "{\"id\":\"a\",\"prompt\":\"1\"}\n");
  const std::string whole = WriteText(
      dir, "whole.jsonl", "{\"id\":\"a\",\"prompt\":\"1\"}\n{\"id\":\"b\",\"prompt\":\"2\"}\n");
  const std::vector<std::string> tail = {"--set", "s", "--coordinator", coordinator.address()};
  const auto upload = [&](const std::string& file, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"prompts", "upload", file};
    arguments.insert(arguments.end(), tail.begin(), tail.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Hone(arguments);
  };
  CHECK(upload(head, {"--no-seal"}).out == "s: 1 prompts, open\n");
  const Outcome resumed = upload(whole, {});
  CHECK(resumed.out == "s: 2 prompts, sealed\n");
  CHECK_THAT(resumed.err, Contains("after 1 lines"));
}

TEST_CASE("a bad line is named by file and line", "[cli]") {
  TestCoordinator coordinator;
  TempDir dir;
  const std::string file =
      WriteText(dir, "p.jsonl", "{\"prompt\":\"1\"}\n\n{\"prompt\":1}\nno json\n");
  const Outcome upload =
      Hone({"prompts", "upload", file, "--set", "s", "--coordinator", coordinator.address()});
  CHECK(upload.code == 1);
  CHECK_THAT(upload.err, Contains(file + ":3: ") && Contains(file + ":4: "));
}

TEST_CASE("runs are created, shown, paused and cancelled", "[cli]") {
  TestCoordinator coordinator;
  TempDir dir;
  const std::string prompts = WriteText(dir, "p.jsonl", kPrompts);
  const std::string file = WriteText(dir, "run.yaml", kRun);
  const auto hone = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--coordinator", coordinator.address()});
    return Hone(arguments);
  };
  // The prompt set is missing.
  const Outcome early = hone({"run", "create", "-f", file, "--id", "r1"});
  CHECK(early.code == 1);
  CHECK_THAT(early.err, Contains("sums"));
  REQUIRE(hone({"prompts", "upload", prompts, "--set", "sums"}).code == 0);

  CHECK(hone({"run", "create", "-f", file, "--validate-only"}).code == 0);
  CHECK(hone({"run", "list", "-o", "jsonl"}).out.empty());
  const Outcome created = hone({"run", "create", "-f", file, "--id", "r1"});
  CHECK(created.code == 0);
  CHECK(created.out == "r1\n");
  CHECK_THAT(hone({"run", "list"}).out, Contains("r1") && Contains("pending"));
  CHECK_THAT(hone({"run", "get", "r1", "-o", "json"}).out,
             Contains("\"state\": \"RUN_STATE_PENDING\""));
  CHECK(hone({"run", "pause", "r1"}).code == 1);  // it does not run
  CHECK(hone({"run", "metrics", "r1"}).code == 0);
  CHECK_THAT(hone({"run", "issues", "r1", "--state", "odd"}).err, Contains("expected leased"));
  CHECK_THAT(hone({"status"}).out, Contains("no workers"));
  CHECK(hone({"run", "get", "r2"}).code == 3);
  CHECK(hone({"run", "watch", "r2"}).code == 3);

  CHECK_THAT(hone({"run", "cancel", "r1"}).out, Contains("cancelled"));
  const Outcome watched = hone({"run", "watch", "r1"});
  CHECK(watched.code == 10);
  CHECK_THAT(watched.out, Contains("run r1 cancelled at step 0"));
}

TEST_CASE("a run file's errors have a place", "[cli]") {
  TempDir dir;
  const std::string good = WriteText(dir, "good.yaml", kRun);
  CHECK(Hone({"config", "validate", good}).code == 0);
  const Outcome shown = Hone({"config", "show", good, "--set", "stages.0.grpo.steps=7"});
  CHECK(shown.code == 0);
  CHECK_THAT(shown.out, Contains("steps: 7") && Contains("clip_low: 0.2"));
  const std::string bad = WriteText(dir, "bad.yaml", "name: x\nstagse: []\n");
  const Outcome refused = Hone({"config", "validate", bad});
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, Contains("bad.yaml:2:1"));
}

TEST_CASE("the demo's data is written", "[cli]") {
  TempDir dir;
  const Outcome made = Hone({"demo-data", dir.path() + "/demo"});
  CHECK(made.code == 0);
  CHECK(std::filesystem::exists(dir.path() + "/demo/sft.jsonl"));
  CHECK(std::filesystem::exists(dir.path() + "/demo/model/config.json"));
}

}  // namespace
}  // namespace hone::testing
