#include "libs/scorers/scorers.h"

#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "libs/reward/reward_function.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

using Catch::Matchers::Contains;

std::unique_ptr<Scorers> Make(const ScorerResources& resources) {
  auto made = Scorers::Create(resources);
  REQUIRE_OK(made);
  return *std::move(made);
}

absl::StatusOr<RewardFunction> Function(const Scorers& scorers, const std::string& json) {
  v1::RewardSpec spec;
  REQUIRE(google::protobuf::util::JsonStringToMessage(json, &spec).ok());
  return RewardFunction::Create(spec, scorers.registry());
}

// What is said of a scorer that cannot be used.
std::string Refusal(const Scorers& scorers, const std::string& json) {
  const auto made = Function(scorers, json);
  CHECK_CODE(made, absl::StatusCode::kFailedPrecondition);
  return std::string(made.status().message());
}

std::string WriteText(const TempDir& dir, const std::string& text) {
  const std::string path = dir.path() + "/verifiers.yaml";
  std::ofstream(path) << text;
  return path;
}

TEST_CASE("a scorer without its resource is known and says what it lacks", "[scorers]") {
  const auto scorers = Make({});
  CHECK(scorers->Describe().empty());
  std::vector<std::string> lacking, all;
  const auto described = scorers->registry().Describe();
  for (const auto& s : described.scorers()) {
    all.push_back(s.name());
    if (!s.unavailable().empty()) lacking.push_back(s.name());
  }
  CHECK(lacking ==
        std::vector<std::string>{"code", "judge", "lean", "process_reward", "reward_model"});
  CHECK(all.size() == lacking.size() + BuiltinScorers().List().size());
  CHECK_THAT(Refusal(*scorers, R"({"scorers": [{"name": "math"}, {"name": "code"}]})"),
             Contains("reward.scorers[1]") && Contains("--sandbox l1"));
  CHECK_THAT(Refusal(*scorers, R"({"scorers": [{"name": "lean"}]})"), Contains("lean"));
  CHECK(Function(*scorers, R"({"scorers": [{"name": "math"}]})").ok());
}

TEST_CASE("no more items at once than the scarcest resource has room for", "[scorers]") {
  const TempDir dir;
  CHECK(Make({})->items_at_once() == 128);
  ScorerResources resources;
  resources.verifiers = WriteText(
      dir, "backends: {a: {url: \"http://127.0.0.1:1\"}, b: {url: \"http://127.0.0.1:1\"}}\n");
  CHECK(Make(resources)->items_at_once() == 16);
  WriteText(dir, "backends: {a: {url: \"http://127.0.0.1:1\", concurrency: 5}}\n");
  CHECK(Make(resources)->items_at_once() == 5);
  WriteText(dir,
            "backends: {a: {url: \"http://127.0.0.1:1\", concurrency: 5}}\n"
            "lean: {command: [lean]}\n");
  CHECK(Make(resources)->items_at_once() == 2);
  resources = {.sandbox = "l0", .sandbox_slots = 7};
  CHECK(Make(resources)->items_at_once() == 3);  // of two programs each
}

TEST_CASE("resources that make no sense are refused", "[scorers]") {
  CHECK_CODE(Scorers::Create({.sandbox = "l9"}), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(Scorers::Create({.sandbox = "l0", .sandbox_slots = 1}),
             absl::StatusCode::kInvalidArgument);
  CHECK_CODE(Scorers::Create({.verifiers = "/nowhere.yaml"}), absl::StatusCode::kNotFound);
  TempDir dir;
  const auto typo = Scorers::Create({.verifiers = WriteText(dir, "backends:\n  rm: {ulr: x}\n")});
  CHECK_CODE(typo, absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(typo.status().message()),
             Contains("verifiers.yaml:2:") && Contains("did you mean \"url\"?"));
}

TEST_CASE("models of a file are there by their names", "[scorers]") {
  TempDir dir;
  const auto scorers = Make({.verifiers = WriteText(dir, R"(backends:
  rm: {url: "http://127.0.0.1:1/score", attempts: 1}
)")});
  const auto made = Function(
      *scorers,
      R"({"scorers": [{"name": "math"}, {"name": "reward_model", "options": {"backend": "rm"}}]})");
  REQUIRE_OK(made);
  CHECK(made->blocks());
  CHECK_CODE(Function(*scorers,
                      R"({"scorers": [{"name": "reward_model", "options": {"backend": "mr"}}]})"),
             absl::StatusCode::kInvalidArgument);
}

TEST_CASE("with a sandbox programs are run", "[scorers]") {
  if (access("/usr/bin/python3", X_OK) != 0) HONE_SKIP("there is no /usr/bin/python3");
  const auto scorers = Make({.sandbox = "l0", .sandbox_slots = 2});
  CHECK_FALSE(scorers->Describe().empty());
  const auto code = Function(*scorers, R"({"scorers": [{"name": "code"}]})");
  REQUIRE_OK(code);
  CHECK(code->blocks());
  v1::ScoreItem item;
  item.set_finish_reason(v1::FINISH_REASON_STOP_TOKEN);
  item.mutable_prompt()->set_text("def f(x):\n");
  auto& fields = *item.mutable_prompt()->mutable_metadata()->mutable_fields();
  fields["test"].set_string_value("def check(candidate):\n    assert candidate(2) == 3\n");
  fields["entry_point"].set_string_value("f");
  item.set_completion("    return x + 1\n");
  const v1::Verdict right = code->Score(item);
  INFO(right.ShortDebugString());
  CHECK(right.correct());
  item.set_completion("    return x\n");
  CHECK_FALSE(code->Score(item).correct());
}

}  // namespace
}  // namespace hone::testing
