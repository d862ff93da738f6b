#include "libs/config/run_file.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

constexpr char kRun[] = R"(name: demo
model: {path: models/tiny, tokenizer: /abs/tokenizer.json, chat: {template_file: chat.jinja}}
stages:
  - name: rl
    grpo:
      prompt_set: gsm8k
      steps: 10
      prompts_per_step: 4
      group_size: 4
      sampling: {max_new_tokens: 64}
      optimizer: {learning_rate: 1e-6}
reward: {scorers: [{name: math}]}
checkpoint: {path: ../out}
)";

TEST_CASE("a run file is loaded with defaults and absolute paths", "[config]") {
  testing::TempDir dir;
  std::filesystem::create_directory(dir.path() + "/runs");
  const std::string path = dir.path() + "/runs/run.yaml";
  std::ofstream(path) << kRun;
  auto spec = LoadRunSpec(path, {"stages.0.grpo.steps=3"});
  REQUIRE_OK(spec);
  CHECK(spec->model().path() == dir.path() + "/runs/models/tiny");
  CHECK(spec->model().tokenizer() == "/abs/tokenizer.json");
  CHECK(spec->model().chat().template_file() == dir.path() + "/runs/chat.jinja");
  CHECK(spec->checkpoint().path() == dir.path() + "/out");
  CHECK(spec->stages(0).grpo().steps() == 3);
  CHECK(spec->stages(0).grpo().updates_per_step() == 1);

  spec = LoadRunSpec(path, {"model.path=other"});
  REQUIRE_OK(spec);
  CHECK(spec->model().path() == (std::filesystem::current_path() / "other").string());
}

TEST_CASE("broken rules are told with the line that broke them", "[config]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/run.yaml";
  std::string text = kRun;
  text.replace(text.find("group_size: 4"), 13, "group_size: 1");
  text.replace(text.find("      steps: 10\n"), 16, "");
  std::ofstream(path) << text;
  const absl::Status status = LoadRunSpec(path, {"checkpoint.path="}).status();
  CHECK(status.message() ==
        absl::StrCat(path, ":5:5: stages[0].grpo.steps: 0 (expected more than 0)\n", path,
                     ":8:19: stages[0].grpo.group_size: 1 (expected at least 2)\n",
                     "--set checkpoint.path=: checkpoint.path: missing (expected a folder)"));
  CHECK(status.GetPayload("type.googleapis.com/google.rpc.BadRequest").has_value());
}

TEST_CASE("a missing run file is NOT_FOUND with its name", "[config]") {
  const absl::Status status = LoadRunSpec("/nowhere/run.yaml").status();
  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(status.message()).find("/nowhere/run.yaml") != std::string::npos);
}

}  // namespace
}  // namespace hone
