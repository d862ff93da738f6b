#include "absl/strings/match.h"
#include "libs/config/config.h"
#include "proto/hone/v1/config.pb.h"
#include "proto/hone/v1/run.pb.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

v1::RunSpec Spec() {
  v1::RunSpec spec;
  spec.set_name("a");
  spec.add_stages()->mutable_sft();
  spec.add_stages()->mutable_grpo()->mutable_sampling()->add_stop("one");
  return spec;
}

std::string ErrorOf(const std::string& assignment) {
  v1::RunSpec spec = Spec();
  const absl::Status status = ApplyOverrides({assignment}, &spec);
  return status.ok() ? "OK" : std::string(status.message());
}

TEST_CASE("overrides reach every kind of value", "[config]") {
  v1::RunSpec spec = Spec();
  REQUIRE_OK(ApplyOverrides(
      {"stages.1.grpo.steps=10", "stages[1].grpo.group_size=8", "name=b: [c",
       "model.precision=bf16", "stages.1.grpo.kl={beta: 0.1, estimator: k2}",
       "stages.1.grpo.sampling.stop.1=two", "stages.1.grpo.sampling.stop_token_ids=[3, 4]",
       "stages.1.grpo.sampling.stop_token_ids[0]=9", "reward.scorers.0.name=math",
       "reward.scorers.0.options.tolerance=0.5", "reward.scorers.0.options.a.b=text",
       "stages.2.name=new", "seed=7", "seed="},
      &spec));
  const v1::GrpoStage& grpo = spec.stages(1).grpo();
  CHECK(grpo.steps() == 10);
  CHECK(grpo.group_size() == 8);
  CHECK(spec.name() == "b: [c");
  CHECK(spec.model().precision() == v1::PRECISION_BF16);
  CHECK(grpo.kl().estimator() == v1::KlSpec::ESTIMATOR_K2);
  REQUIRE(grpo.sampling().stop_size() == 2);
  CHECK(grpo.sampling().stop(1) == "two");
  REQUIRE(grpo.sampling().stop_token_ids_size() == 2);
  CHECK(grpo.sampling().stop_token_ids(0) == 9);
  const auto& options = spec.reward().scorers(0).options().fields();
  CHECK(options.at("tolerance").number_value() == 0.5);
  CHECK(options.at("a").struct_value().fields().at("b").string_value() == "text");
  CHECK(spec.stages(2).name() == "new");
  CHECK(spec.seed() == 0);

  v1::StepMetrics metrics;
  (*metrics.mutable_values())["loss"] = 1;
  REQUIRE_OK(ApplyOverrides({"values.loss=2", "values[kl]=3"}, &metrics));
  CHECK(metrics.values().at("loss") == 2);
  CHECK(metrics.values().at("kl") == 3);
}

TEST_CASE("a list is replaced as a whole, not appended to", "[config]") {
  v1::RunSpec spec = Spec();
  REQUIRE_OK(ApplyOverrides({"stages.1.grpo.sampling.stop=[x, y]"}, &spec));
  CHECK(spec.stages(1).grpo().sampling().stop_size() == 2);
}

TEST_CASE("a wrong override is told with itself as the place", "[config]") {
  CHECK(ErrorOf("stages.1.grpo.step=10") ==
        "--set stages.1.grpo.step=10: stages[1].grpo: unknown key \"step\"; did you mean "
        "\"steps\"? (expected one of "
        "prompt_set, steps, prompts_per_step, group_size, updates_per_step, sampling, advantage, "
        "loss, kl, optimizer, "
        "moe, max_staleness, drop_zero_variance, max_micro_batch_tokens, min_group, truncation)");
  CHECK(ErrorOf("stages.1.grpo.steps=ten") ==
        "--set stages.1.grpo.steps=ten: stages[1].grpo.steps: \"ten\" (expected an integer from "
        "-9223372036854775808 to 9223372036854775807)");
  CHECK(ErrorOf("stages.5.name=x") ==
        "--set stages.5.name=x: stages: no element \"5\" (expected an index from 0 to 2; there are "
        "2)");
  CHECK(ErrorOf("stages.rl.name=x") ==
        "--set stages.rl.name=x: stages: no element \"rl\" (expected an index from 0 to 2; there "
        "are 2)");
  CHECK(ErrorOf("stages.0.grpo.steps=1") ==
        "--set stages.0.grpo.steps=1: stages[0]: \"grpo\" beside \"sft\" (expected only one of "
        "sft, grpo, pretrain)");
  CHECK(ErrorOf("name.first=x") ==
        "--set name.first=x: name: has no key \"first\" (expected name=value)");
  for (const char* bad :
       {"name", "=x", "a..b=1", "stages[1.grpo=1", "stages[]=1", "stages[1]x=1", "name.=1"}) {
    INFO(bad);
    CHECK(absl::StrContains(ErrorOf(bad), "not an assignment (expected path=value"));
  }
  CHECK(absl::StrContains(ErrorOf("model={path"), "--set model={path"));
}

TEST_CASE("one bad override leaves the message as it was", "[config]") {
  v1::RunSpec spec = Spec();
  CHECK(!ApplyOverrides({"name=b", "seed=x"}, &spec).ok());
  CHECK(spec.name() == "a");
}

TEST_CASE("an override takes the place of what it replaced", "[config]") {
  v1::RunSpec spec;
  ConfigPlaces places;
  REQUIRE_OK(ParseYaml("model: {path: a, max_context: 5}\n", "run.yaml", &spec, &places));
  REQUIRE_OK(ApplyOverrides({"model={path: b}"}, &spec, &places));
  CHECK(PlaceOf(places, "model.max_context", "?") == "--set model={path: b}");
  CHECK(PlaceOf(places, "model.path", "?") == "--set model={path: b}");
}

}  // namespace
}  // namespace hone
