#include "libs/config/config.h"

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "proto/hone/v1/config.pb.h"
#include "proto/hone/v1/coordinator.pb.h"
#include "proto/hone/v1/run.pb.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

// The message of the error that `text` gives as a RunSpec, or "OK".
std::string ErrorOf(absl::string_view text) {
  v1::RunSpec spec;
  const absl::Status status = ParseYaml(text, "run.yaml", &spec);
  if (status.ok()) return "OK";
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(spec.ByteSizeLong() == 0);  // nothing half-applied
  return std::string(status.message());
}

TEST_CASE("a run file becomes a message", "[config]") {
  v1::RunSpec spec;
  REQUIRE_OK(ParseYaml(R"(
name: demo
seed: 18446744073709551615
model: {path: models/tiny, random_init: true, precision: bf16, max_context: 2048}
stages:
  - name: warm
    sft:
      prompt_set: "gsm8k"
      optimizer: {kind: muon, learning_rate: 1e-3, grad_clip: -1}
  - name: rl
    grpo:
      group_size: 16
      truncation: TRUNCATION_MODE_MASK
      sampling:
        temperature: 0.7
        stop: ["</answer>", 'x']
        stop_token_ids: [1, 2]
      loss: {policy: gspo, aggregation: seq_mean_token_mean}
reward:
  scorers:
    - name: math
      options: {tolerance: 0.5, strict: true, modes: [a, "1", 2, null], nested: {k: v}}
)",
                       "run.yaml", &spec));
  CHECK(spec.name() == "demo");
  CHECK(spec.seed() == 18446744073709551615u);
  CHECK(spec.model().precision() == v1::PRECISION_BF16);
  REQUIRE(spec.stages_size() == 2);
  CHECK(spec.stages(0).sft().optimizer().kind() == v1::OptimizerSpec::KIND_MUON);
  CHECK(spec.stages(0).sft().optimizer().grad_clip() == -1);
  const v1::GrpoStage& grpo = spec.stages(1).grpo();
  CHECK(grpo.truncation() == v1::TRUNCATION_MODE_MASK);
  CHECK(grpo.sampling().temperature() == 0.7f);
  CHECK(grpo.sampling().stop(1) == "x");
  CHECK(grpo.sampling().stop_token_ids(1) == 2);
  CHECK(grpo.loss().policy() == v1::LossSpec::POLICY_GSPO);
  const auto& options = spec.reward().scorers(0).options().fields();
  CHECK(options.at("tolerance").number_value() == 0.5);
  CHECK(options.at("strict").bool_value());
  const auto& modes = options.at("modes").list_value();
  CHECK(modes.values(1).string_value() == "1");
  CHECK(modes.values(2).number_value() == 2);
  CHECK(modes.values(3).has_null_value());
  CHECK(options.at("nested").struct_value().fields().at("k").string_value() == "v");
}

TEST_CASE("an unknown key names its place, a suggestion and the known keys", "[config]") {
  CHECK(ErrorOf("name: x\nmodel:\n  path: p\n  presision: bf16\n") ==
        "run.yaml:4:3: model: unknown key \"presision\"; did you mean \"precision\"? (expected one "
        "of path, "
        "random_init, precision, max_context, tokenizer, lora, chat, device, "
        "activation_checkpointing)");
  CHECK(ErrorOf("zzzzzzzz: 1") ==
        "run.yaml:1:1: unknown key \"zzzzzzzz\" (expected one of name, seed, model, stages, "
        "reward, evaluations, "
        "checkpoint, prompt_set_rewards)");
}

TEST_CASE("wrong types and ranges are told with what was expected", "[config]") {
  CHECK(ErrorOf("model: {max_context: many}") ==
        "run.yaml:1:22: model.max_context: \"many\" (expected an integer from -2147483648 to "
        "2147483647)");
  CHECK(ErrorOf("model: {max_context: 2147483648}") ==
        "run.yaml:1:22: model.max_context: \"2147483648\" (expected an integer from -2147483648 to "
        "2147483647)");
  CHECK(ErrorOf("model: {max_context: \"8\"}") ==
        "run.yaml:1:22: model.max_context: \"8\" (expected an integer from -2147483648 to "
        "2147483647)");
  CHECK(
      absl::StrContains(ErrorOf("seed: -1"), "expected an integer from 0 to 18446744073709551615"));
  CHECK(absl::StrContains(ErrorOf("seed: 1.5"), "\"1.5\" (expected an integer"));
  CHECK(absl::StrContains(ErrorOf("seed: 010"), "\"010\" (expected an integer"));
  CHECK(ErrorOf("model: {random_init: yes}") ==
        "run.yaml:1:22: model.random_init: \"yes\" (expected true or false)");
  CHECK(ErrorOf("model: {precision: fp8}") ==
        "run.yaml:1:20: model.precision: \"fp8\" (expected one of f32, bf16)");
  CHECK(ErrorOf("model: {precision: bf61}") ==
        "run.yaml:1:20: model.precision: \"bf61\"; did you mean \"bf16\"? (expected one of f32, "
        "bf16)");
  CHECK(ErrorOf("model: {precision: unspecified}") ==
        "run.yaml:1:20: model.precision: \"unspecified\" (expected one of f32, bf16)");
  CHECK(ErrorOf("model: gpt") ==
        "run.yaml:1:8: model: \"gpt\" (expected a map with the keys path, random_init, precision, "
        "max_context, "
        "tokenizer, lora, chat, device, activation_checkpointing)");
  CHECK(ErrorOf("stages: {name: a}") == "run.yaml:1:9: stages: a map (expected a list)");
  CHECK(ErrorOf("name: [a]") ==
        "run.yaml:1:7: name: a list (expected text; \"\" for an empty one)");
  CHECK(ErrorOf("name:\nseed: 1") ==
        "run.yaml:1:1: name: no value (expected text; \"\" for an empty one)");
  CHECK(ErrorOf("- a\n- b") ==
        "run.yaml:1:1: a list (expected a map with the keys name, seed, model, stages, reward, "
        "evaluations, "
        "checkpoint, prompt_set_rewards)");
}

TEST_CASE("numbers are finite and within their type", "[config]") {
  const auto with = [](absl::string_view field, absl::string_view value) {
    return ErrorOf(absl::StrCat("stages: [{grpo: {", field, ": ", value, "}}]"));
  };
  CHECK(with("kl", "{beta: .5}") == "OK");
  CHECK(with("kl", "{beta: -1E-3}") == "OK");
  CHECK(absl::StrContains(with("kl", "{beta: nan}"), "kl.beta: \"nan\" (expected a number)"));
  CHECK(absl::StrContains(with("kl", "{beta: .inf}"), "kl.beta: \".inf\" (expected a number)"));
  CHECK(absl::StrContains(with("kl", "{beta: 0x10}"), "kl.beta: \"0x10\" (expected a number)"));
  CHECK(absl::StrContains(with("kl", "{beta: 1e999}"), "(expected a number of at most 1.7e308)"));
  CHECK(absl::StrContains(with("sampling", "{top_p: 1e39}"),
                          "(expected a number of at most 3.4e38)"));
}

TEST_CASE("two members of a oneof and duplicate keys are refused", "[config]") {
  CHECK(ErrorOf("stages:\n- name: a\n  sft: {steps: 1}\n  grpo: {steps: 1}\n") ==
        "run.yaml:4:3: stages[0]: \"grpo\" beside \"sft\" (expected only one of sft, grpo, "
        "pretrain)");
  CHECK(ErrorOf("name: a\nseed: 1\nname: b\n") ==
        "run.yaml:3:1: duplicate key \"name\" (first at line 1; expected each key once)");
  CHECK(absl::StrContains(ErrorOf("reward: {scorers: [{options: {a: 1, a: 2}}]}"),
                          "duplicate key \"a\""));
}

TEST_CASE("all errors of a file are told at once, up to twenty", "[config]") {
  CHECK(ErrorOf("nmae: a\nseed: x\n") ==
        "run.yaml:1:1: unknown key \"nmae\"; did you mean \"name\"? (expected one of name, seed, "
        "model, stages, "
        "reward, evaluations, checkpoint, prompt_set_rewards)\n"
        "run.yaml:2:7: seed: \"x\" (expected an integer from 0 to 18446744073709551615)");
  std::string text = "stages:\n";
  for (int i = 0; i < 25; ++i) absl::StrAppend(&text, "- {bad: 1}\n");
  const std::string error = ErrorOf(text);
  CHECK(std::count(error.begin(), error.end(), '\n') == 20);
  CHECK(absl::EndsWith(error, "\n... and 5 more errors"));
}

TEST_CASE("anchors, aliases and merge keys work", "[config]") {
  v1::RunSpec spec;
  REQUIRE_OK(ParseYaml(R"(
evaluations:
  - &base {name: a, samples: 4, sampling: &s {temperature: 0.5, max_new_tokens: 8}}
  - {<<: *base, name: b}
  - {name: c, sampling: *s, <<: [{samples: 1}, {samples: 2}]}
)",
                       "run.yaml", &spec));
  REQUIRE(spec.evaluations_size() == 3);
  CHECK(spec.evaluations(1).name() == "b");
  CHECK(spec.evaluations(1).samples() == 4);
  CHECK(spec.evaluations(2).sampling().max_new_tokens() == 8);
  CHECK(spec.evaluations(2).samples() == 1);
  CHECK(absl::StrContains(ErrorOf("<<: 3"), "<< with something that is not a map"));
}

TEST_CASE("hostile YAML is refused quickly", "[config]") {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 30; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [");
    for (int k = 0; k < 10; ++k) absl::StrAppend(&bomb, k == 0 ? "" : ",", "*a", i - 1);
    bomb += "]\n";
  }
  CHECK(ErrorOf(bomb) ==
        "run.yaml:1:1: more than 50000 values when every alias is written out (expected at most "
        "that many)");

  std::string merges = "a: &a {";
  for (int i = 0; i < 2000; ++i) absl::StrAppend(&merges, i == 0 ? "" : ", ", "k", i, ": 0");
  merges += "}\nb:\n";
  for (int i = 0; i < 2000; ++i) merges += "- {<<: *a}\n";
  CHECK(absl::StrContains(ErrorOf(merges), "more than 50000 values"));

  CHECK(absl::StrContains(ErrorOf("a: &a [*a]"), "an alias inside the node that it names"));
  CHECK(absl::StrContains(ErrorOf(std::string(100, '[') + std::string(100, ']')),
                          "nested 100 levels deep (expected at most 64)"));
  CHECK(absl::StrContains(ErrorOf(std::string(100000, '[')),
                          "nested too deeply (expected at most 64 levels)"));
  CHECK(absl::StrContains(ErrorOf(std::string((1 << 20) + 1, ' ')),
                          "1048577 bytes (expected at most 1048576)"));
  CHECK(ErrorOf("name: a\nseed: \xff") == "run.yaml:2:7: byte 0xff (expected UTF-8 text)");
  CHECK(absl::StrContains(ErrorOf(absl::string_view("na\0me: a", 8)), "byte 0x00"));
  CHECK(absl::StrContains(ErrorOf("name: *nowhere"), "not YAML: "));
  CHECK(absl::StrContains(ErrorOf("name: \"open"), "run.yaml:1:"));
  CHECK(absl::StrContains(ErrorOf("name: [a\nseed: 1"), "run.yaml:"));
  CHECK(absl::StrContains(ErrorOf("name: !!python/object x"), "expected no tag"));
  CHECK(absl::StrContains(ErrorOf("name: a\n---\nname: b\n"), "a second document"));
  CHECK(absl::StrContains(ErrorOf("? [a, b]\n: c\n"), "a key that is not a scalar"));
}

TEST_CASE("an empty file is an empty message and an empty section is present", "[config]") {
  v1::RunSpec spec;
  REQUIRE_OK(ParseYaml("", "run.yaml", &spec));
  CHECK(spec.ByteSizeLong() == 0);
  REQUIRE_OK(ParseYaml("# nothing\n", "run.yaml", &spec));
  REQUIRE_OK(ParseYaml("stages:\n- name: a\n  grpo:\nmodel: ~\n", "run.yaml", &spec));
  CHECK(spec.stages(0).has_grpo());
  CHECK(spec.has_model());
}

TEST_CASE("durations and maps are written as YAML", "[config]") {
  v1::LeasePromptsRequest request;
  REQUIRE_OK(ParseYaml("wait: 1m30.5s", "o.yaml", &request));
  CHECK(request.wait().seconds() == 90);
  CHECK(request.wait().nanos() == 500'000'000);
  const absl::Status bad = ParseYaml("wait: 30", "o.yaml", &request);
  CHECK(bad.message() ==
        "o.yaml:1:7: wait: \"30\" (expected a duration such as 30s, 500ms or 1h30m)");
  CHECK(!ParseYaml("wait: inf", "o.yaml", &request).ok());

  v1::StepMetrics metrics;
  REQUIRE_OK(ParseYaml("values: {loss: 0.25, kl: 1e-3}", "o.yaml", &metrics));
  CHECK(metrics.values().at("loss") == 0.25);
  CHECK(metrics.values().at("kl") == 1e-3);
  CHECK(ParseYaml("values: {loss: low}", "o.yaml", &metrics).message() ==
        "o.yaml:1:16: values[loss]: \"low\" (expected a number)");
}

TEST_CASE("the place of a value is remembered, that of a missing one is its section's",
          "[config]") {
  v1::RunSpec spec;
  ConfigPlaces places;
  REQUIRE_OK(ParseYaml("stages:\n- name: a\n  grpo:\n    steps: 3\n", "run.yaml", &spec, &places));
  CHECK(PlaceOf(places, "stages[0].grpo.steps", "?") == "run.yaml:4:12");
  CHECK(PlaceOf(places, "stages[0].grpo.group_size", "?") == "run.yaml:3:3");
  CHECK(PlaceOf(places, "stages[0].grpo.kl.beta", "?") == "run.yaml:3:3");
  CHECK(PlaceOf(places, "checkpoint.path", "?") == "?");
}

TEST_CASE("ToYaml prints what ParseYaml reads back", "[config]") {
  v1::RunSpec spec;
  spec.set_name("no");  // would be a bool to some YAML readers
  spec.set_seed(18446744073709551615u);
  spec.mutable_model()->set_path("/models/tiny \"x\"\n#: \x01 \xc3\xa9");
  spec.add_stages()->set_name("1e3");
  v1::GrpoStage& grpo = *spec.add_stages()->mutable_grpo();
  grpo.mutable_optimizer()->set_learning_rate(1.0 / 3);
  grpo.mutable_sampling()->set_temperature(0.1f);
  grpo.mutable_sampling()->add_stop("");
  grpo.mutable_sampling()->add_stop("- a: b");
  grpo.mutable_sampling()->add_stop_token_ids(-5);
  grpo.set_truncation(v1::TRUNCATION_MODE_EXCLUDE);
  spec.add_stages()->mutable_sft();
  spec.add_stages();
  auto& options = *spec.mutable_reward()->add_scorers()->mutable_options()->mutable_fields();
  options["null"].set_null_value(google::protobuf::NULL_VALUE);
  options["n"].set_number_value(0.1);
  options["s"].set_string_value("12");
  options["e"].mutable_struct_value();
  options["l"]
      .mutable_list_value()
      ->add_values()
      ->mutable_list_value()
      ->add_values()
      ->set_bool_value(true);
  (*options["l"]
        .mutable_list_value()
        ->add_values()
        ->mutable_struct_value()
        ->mutable_fields())["k v"]
      .set_string_value("");
  spec.mutable_checkpoint();

  const std::string text = ToYaml(spec);
  INFO(text);
  v1::RunSpec again;
  REQUIRE_OK(ParseYaml(text, "again.yaml", &again));
  CHECK(google::protobuf::util::MessageDifferencer::Equals(spec, again));

  v1::LeasePromptsRequest request;
  request.mutable_wait()->set_seconds(3723);
  request.mutable_wait()->set_nanos(5);
  v1::LeasePromptsRequest request_again;
  REQUIRE_OK(ParseYaml(ToYaml(request), "r.yaml", &request_again));
  CHECK(google::protobuf::util::MessageDifferencer::Equals(request, request_again));

  v1::StepMetrics metrics;
  (*metrics.mutable_values())["a b"] = 1;
  (*metrics.mutable_values())["true"] = -2.5;
  v1::StepMetrics metrics_again;
  REQUIRE_OK(ParseYaml(ToYaml(metrics), "m.yaml", &metrics_again));
  CHECK(google::protobuf::util::MessageDifferencer::Equals(metrics, metrics_again));
  CHECK(ToYaml(v1::ListScorersRequest()) == "{}\n");
}

TEST_CASE("ToYaml shows zeros, short enum names and nested lists", "[config]") {
  v1::RunSpec spec;
  spec.set_name("demo");
  spec.mutable_model()->set_precision(v1::PRECISION_BF16);
  spec.add_evaluations()->mutable_sampling()->add_stop("x");
  CHECK(ToYaml(spec) == R"(name: demo
seed: 0
model:
  random_init: false
  precision: bf16
  max_context: 0
evaluations:
  - samples: 0
    sampling:
      temperature: 0
      top_p: 0
      top_k: 0
      greedy: false
      max_new_tokens: 0
      stop:
        - x
    every_steps: 0
    max_prompts: 0
)");
}

TEST_CASE("a file that cannot be read says so", "[config]") {
  testing::TempDir dir;
  v1::RunSpec spec;
  CHECK_CODE(ReadYamlFile(dir.path() + "/none.yaml", &spec), absl::StatusCode::kNotFound);
  CHECK(!ReadYamlFile(dir.path(), &spec).ok());
  std::ofstream(dir.path() + "/run.yaml") << "name: a\n";
  REQUIRE_OK(ReadYamlFile(dir.path() + "/run.yaml", &spec));
  CHECK(spec.name() == "a");
}

}  // namespace
}  // namespace hone
