#include "libs/config/validate.h"

#include <limits>

#include "absl/strings/cord.h"
#include "libs/config/config.h"
#include "libs/config/defaults.h"
#include "proto/google/rpc/error_details.pb.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

v1::RunSpec Good() {
  v1::RunSpec spec;
  REQUIRE_OK(ParseYaml(R"(
name: demo
model: {path: /m, max_context: 1024}
stages:
  - name: warm
    sft:
      prompt_set: gsm8k
      steps: 10
      batch_size: 4
      optimizer: {learning_rate: 1e-4}
      gate: {evaluation: val, min_pass_at_1: 0.1}
  - name: rl
    grpo:
      prompt_set: gsm8k
      steps: 10
      prompts_per_step: 4
      group_size: 5
      updates_per_step: 2
      sampling: {max_new_tokens: 64}
      optimizer: {learning_rate: 1e-6, schedule: cosine, warmup_steps: 20, final_ratio: 0.1}
      kl: {beta: 0.01}
reward: {scorers: [{name: math}]}
evaluations: [{name: val, prompt_set: gsm8k-test, samples: 2, sampling: {max_new_tokens: 64}}]
checkpoint: {path: /out}
)",
                       "good.yaml", &spec));
  return spec;
}

TEST_CASE("chat options are checked", "[config]") {
  v1::RunSpec spec = Good();
  spec.mutable_model()->mutable_chat();
  CHECK(Validate(spec).empty());
  spec.mutable_model()->mutable_chat()->set_variables(R"({"enable_thinking": false})");
  spec.mutable_model()->mutable_chat()->set_date("2025-02-28");
  CHECK(Validate(spec).empty());
  spec.mutable_model()->mutable_chat()->set_variables("[1]");
  spec.mutable_model()->mutable_chat()->set_date("2025-02-30");
  const auto violations = Validate(spec);
  REQUIRE(violations.size() == 2);
  CHECK(violations[0].path == "model.chat.variables");
  CHECK(violations[0].message == "[1] (expected a JSON object)");
  CHECK(violations[1].path == "model.chat.date");
}

TEST_CASE("a good spec has no violations, before and after defaults", "[config]") {
  v1::RunSpec spec = Good();
  for (const FieldViolation& v : Validate(spec)) FAIL_CHECK(v.path << ": " << v.message);
  ApplyDefaults(spec);
  for (const FieldViolation& v : Validate(spec)) FAIL_CHECK(v.path << ": " << v.message);
  CHECK_OK(ToStatus(Validate(spec)));
}

// Each row breaks one rule with one or more overrides and gives the only violation that must
// follow.
struct Rule {
  std::vector<std::string> overrides;
  std::string path;
  std::string message;
};

const Rule kRules[] = {
    {{"name="},
     "name",
     "\"\" (expected an id: 1 to 63 of a-z 0-9 _ . -, beginning with a letter or digit)"},
    {{"name=My Run"},
     "name",
     "\"My Run\" (expected an id: 1 to 63 of a-z 0-9 _ . -, beginning with a letter or digit)"},
    {{"model.path="}, "model.path", "missing (expected a folder in Hugging Face layout)"},
    {{"model.max_context=-1"}, "model.max_context", "-1 (expected at least 0)"},
    {{"stages.1.name=warm"},
     "stages[1].name",
     "\"warm\" is also the name of stages[0] (expected unique names)"},
    {{"stages.1.name=../x"},
     "stages[1].name",
     "\"../x\" (expected an id: 1 to 63 of a-z 0-9 _ . -, beginning with a letter or digit)"},
    {{"stages.2.name=third"}, "stages[2]", "no kind (expected one of pretrain, sft, grpo)"},
    {{"stages=[]"}, "stages", "empty (expected at least one stage)"},
    {{"reward.scorers=[]"},
     "reward.scorers",
     "empty (expected a scorer, as there is a grpo stage or an evaluation)"},
    {{"reward.scorers.0.name="},
     "reward.scorers[0].name",
     "missing (expected the name of a scorer)"},
    {{"checkpoint.path="}, "checkpoint.path", "missing (expected a folder)"},
    {{"checkpoint.every_steps=-1"}, "checkpoint.every_steps", "-1 (expected at least 0)"},
    {{"checkpoint.keep=-2"}, "checkpoint.keep", "-2 (expected at least 0)"},

    {{"evaluations.1={name: val, prompt_set: a, samples: 1, sampling: {max_new_tokens: 1}}"},
     "evaluations[1].name",
     "\"val\" is also the name of evaluations[0] (expected unique names)"},
    {{"evaluations.0.prompt_set="},
     "evaluations[0].prompt_set",
     "\"\" (expected an id: 1 to 63 of a-z 0-9 _ . -, beginning with a letter or digit)"},
    {{"evaluations.0.samples=0"}, "evaluations[0].samples", "0 (expected more than 0)"},
    {{"evaluations.0.every_steps=-1"}, "evaluations[0].every_steps", "-1 (expected at least 0)"},
    {{"evaluations.0.max_prompts=-1"}, "evaluations[0].max_prompts", "-1 (expected at least 0)"},
    {{"evaluations.0.sampling.max_new_tokens=0"},
     "evaluations[0].sampling.max_new_tokens",
     "0 (expected more than 0)"},
    {{"evaluations.0.sampling.max_new_tokens=1024"},
     "evaluations[0].sampling.max_new_tokens",
     "1024 (expected less than model.max_context = 1024)"},

    {{"stages.0.sft.prompt_set=A"},
     "stages[0].sft.prompt_set",
     "\"A\" (expected an id: 1 to 63 of a-z 0-9 _ . -, beginning with a letter or digit)"},
    {{"stages.0.sft.steps=0"}, "stages[0].sft.steps", "0 (expected more than 0)"},
    {{"stages.0.sft.batch_size=-4"}, "stages[0].sft.batch_size", "-4 (expected more than 0)"},
    {{"stages.0.sft.max_micro_batch_tokens=-1"},
     "stages[0].sft.max_micro_batch_tokens",
     "-1 (expected at least 0)"},
    {{"stages.0.sft.gate.evaluation=vall"},
     "stages[0].sft.gate.evaluation",
     "\"vall\" (expected the name of one of the evaluations)"},
    {{"stages.0.sft.gate.min_pass_at_1=1.5"},
     "stages[0].sft.gate.min_pass_at_1",
     "1.5 (expected 0 to 1)"},
    {{"stages.0.sft.moe.bias_update_rate=-1"},
     "stages[0].sft.moe.bias_update_rate",
     "-1 (expected at least 0)"},
    {{"stages.0.sft.moe.sequence_balance=-1"},
     "stages[0].sft.moe.sequence_balance",
     "-1 (expected at least 0)"},

    {{"stages.1.grpo.prompt_set="},
     "stages[1].grpo.prompt_set",
     "\"\" (expected an id: 1 to 63 of a-z 0-9 _ . -, beginning with a letter or digit)"},
    {{"stages.1.grpo.steps=0"}, "stages[1].grpo.steps", "0 (expected more than 0)"},
    {{"stages.1.grpo.prompts_per_step=0"},
     "stages[1].grpo.prompts_per_step",
     "0 (expected more than 0)"},
    {{"stages.1.grpo.group_size=1"}, "stages[1].grpo.group_size", "1 (expected at least 2)"},
    {{"stages.1.grpo.updates_per_step=-1", "stages.1.grpo.optimizer.warmup_steps=0"},
     "stages[1].grpo.updates_per_step",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.updates_per_step=21"},
     "stages[1].grpo.updates_per_step",
     "21 (expected at most the 20 completions of a step)"},
    {{"stages.1.grpo.min_group=6"}, "stages[1].grpo.min_group", "6 (expected 2 to group_size = 5)"},
    {{"stages.1.grpo.min_group=1"}, "stages[1].grpo.min_group", "1 (expected 2 to group_size = 5)"},
    {{"stages.1.grpo.max_staleness=-1"},
     "stages[1].grpo.max_staleness",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.max_micro_batch_tokens=-1"},
     "stages[1].grpo.max_micro_batch_tokens",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.sampling.temperature=-0.5"},
     "stages[1].grpo.sampling.temperature",
     "-0.5 (expected more than 0, or 0 for 1, or greedy)"},
    {{"stages.1.grpo.sampling.top_p=1.5"},
     "stages[1].grpo.sampling.top_p",
     "1.5 (expected more than 0 and at most 1, or 0 for 1)"},
    {{"stages.1.grpo.sampling.top_k=-1"},
     "stages[1].grpo.sampling.top_k",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.sampling.max_new_tokens=-3"},
     "stages[1].grpo.sampling.max_new_tokens",
     "-3 (expected more than 0)"},
    {{"stages.1.grpo.sampling.max_new_tokens=4096"},
     "stages[1].grpo.sampling.max_new_tokens",
     "4096 (expected less than model.max_context = 1024)"},
    {{"stages.1.grpo.sampling.stop=[a, \"\"]"},
     "stages[1].grpo.sampling.stop[1]",
     "\"\" (expected text)"},
    {{"stages.1.grpo.sampling.stop_token_ids=[-1]"},
     "stages[1].grpo.sampling.stop_token_ids[0]",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.sampling.greedy=true"},
     "stages[1].grpo.sampling.greedy",
     "true (expected false: the completions of a group would all be the same)"},
    {{"stages.1.grpo.advantage.ddof=2"}, "stages[1].grpo.advantage.ddof", "2 (expected 0 or 1)"},
    {{"stages.1.grpo.loss.clip_low=-0.1"},
     "stages[1].grpo.loss.clip_low",
     "-0.1 (expected more than 0, or 0 for 0.2)"},
    {{"stages.1.grpo.loss.clip_high=-0.1"},
     "stages[1].grpo.loss.clip_high",
     "-0.1 (expected more than 0, or 0 for clip_low)"},
    {{"stages.1.grpo.loss.dual_clip=1"},
     "stages[1].grpo.loss.dual_clip",
     "1 (expected more than 1, or 0 for off)"},
    {{"stages.1.grpo.loss.entropy_coef=-1"},
     "stages[1].grpo.loss.entropy_coef",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.kl.beta=-1"}, "stages[1].grpo.kl.beta", "-1 (expected at least 0)"},
    {{"stages.1.grpo.kl.refresh_steps=-1"},
     "stages[1].grpo.kl.refresh_steps",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.kl.monitor_every=-1"},
     "stages[1].grpo.kl.monitor_every",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.kl.estimator=k1"},
     "stages[1].grpo.kl.estimator",
     "k1 (expected another estimator: in the loss the expected gradient of k1 is zero)"},
    {{"stages.1.grpo.kl.estimator=unbiased", "stages.1.grpo.kl.placement=reward"},
     "stages[1].grpo.kl.estimator",
     "a gradient through rho (expected another estimator than unbiased and k1_rho: a KL in the "
     "reward has no "
     "gradient)"},
    {{"stages.1.grpo.kl.estimator=k1_rho", "stages.1.grpo.kl.placement=reward"},
     "stages[1].grpo.kl.estimator",
     "a gradient through rho (expected another estimator than unbiased and k1_rho: a KL in the "
     "reward has no "
     "gradient)"},
    {{"stages.1.grpo.advantage.preset=pape"},
     "stages[1].grpo.advantage.preset",
     "\"pape\" (expected one of paper, deepseekmath, verl, trl, trl_batch, openrlhf, slime, "
     "open_instruct, "
     "open_instruct_std, areal, prime_rl, dr_grpo, v3_2, rloo)"},
    {{"stages.1.grpo.advantage={preset: verl, ddof: 1}"},
     "stages[1].grpo.advantage.preset",
     "\"verl\" (expected a preset alone, or kind, eps and ddof without one)"},
    {{"stages.1.grpo.loss={policy: gspo, dual_clip: 3}"},
     "stages[1].grpo.loss.dual_clip",
     "3 (expected 0 unless the policy is clip)"},
    {{"stages.1.grpo.loss.ratio_cap=1.2"},
     "stages[1].grpo.loss.ratio_cap",
     "1.2 (expected more than 1 + clip_high = 1.2, or 0 for off)"},
    {{"stages.1.grpo.loss={policy: gspo, ratio_cap: 3}"},
     "stages[1].grpo.loss.ratio_cap",
     "3 (expected 0 unless the policy is clip or dppo_tv)"},
    {{"stages.1.grpo.loss.ratio_cap=-1"},
     "stages[1].grpo.loss.ratio_cap",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.loss.sapo_tau_positive=-1"},
     "stages[1].grpo.loss.sapo_tau_positive",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.loss.sapo_tau_negative=-1"},
     "stages[1].grpo.loss.sapo_tau_negative",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.loss.off_policy={recompute_old: true, weight_low: -1}"},
     "stages[1].grpo.loss.off_policy.weight_low",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.loss.off_policy={recompute_old: true, weight_high: -1}"},
     "stages[1].grpo.loss.off_policy.weight_high",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.loss.off_policy={recompute_old: true, weight: token_mask, weight_low: 5.5}"},
     "stages[1].grpo.loss.off_policy.weight_low",
     "5.5 (expected at most weight_high = 5)"},
    {{"stages.1.grpo.loss.off_policy={recompute_old: true, geo_low: 2, geo_high: 1}"},
     "stages[1].grpo.loss.off_policy.geo_low",
     "2 (expected at most geo_high = 1)"},
    {{"stages.1.grpo.loss.off_policy={recompute_old: true, geo_low: -1}"},
     "stages[1].grpo.loss.off_policy.geo_low",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.loss.off_policy={geo_high: 1.1}"},
     "stages[1].grpo.loss.off_policy.geo_high",
     "1.1 (expected recompute_old: without it the ratio is 1 by definition)"},
    {{"stages.1.grpo.loss.off_policy={weight: token_truncate}"},
     "stages[1].grpo.loss.off_policy.weight",
     "a weight (expected recompute_old, or policy reinforce: a ratio loss has the ratio to the "
     "sampler in it "
     "already)"},
    {{"stages.1.grpo.loss.off_policy={sequence_mask_delta: -1}"},
     "stages[1].grpo.loss.off_policy.sequence_mask_delta",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.loss.off_policy={max_nonfinite: 1.5}"},
     "stages[1].grpo.loss.off_policy.max_nonfinite",
     "1.5 (expected 0 to 1, or 0 for 0.01)"},
    {{"stages.1.grpo.optimizer.learning_rate=0"},
     "stages[1].grpo.optimizer.learning_rate",
     "0 (expected more than 0)"},
    {{"stages.1.grpo.optimizer.warmup_steps=-1"},
     "stages[1].grpo.optimizer.warmup_steps",
     "-1 (expected at least 0)"},
    {{"stages.1.grpo.optimizer.warmup_steps=21"},
     "stages[1].grpo.optimizer.warmup_steps",
     "21 (expected at most the 20 optimiser steps of the stage)"},
    {{"stages.1.grpo.optimizer.final_ratio=1.1"},
     "stages[1].grpo.optimizer.final_ratio",
     "1.1 (expected 0 to 1)"},
    {{"stages.0.sft.optimizer.beta1=1"},
     "stages[0].sft.optimizer.beta1",
     "1 (expected at least 0 and less than 1)"},
    {{"stages.0.sft.optimizer.beta2=-0.1"},
     "stages[0].sft.optimizer.beta2",
     "-0.1 (expected at least 0 and less than 1)"},
    {{"stages.0.sft.optimizer.muon_momentum=1"},
     "stages[0].sft.optimizer.muon_momentum",
     "1 (expected at least 0 and less than 1)"},
    {{"stages.0.sft.optimizer.eps=-1"}, "stages[0].sft.optimizer.eps", "-1 (expected at least 0)"},
    {{"stages.0.sft.optimizer.weight_decay=-1"},
     "stages[0].sft.optimizer.weight_decay",
     "-1 (expected at least 0)"},
    {{"stages.0.sft.optimizer.muon_weight_decay=-1"},
     "stages[0].sft.optimizer.muon_weight_decay",
     "-1 (expected at least 0)"},
};

TEST_CASE("every rule names the field and what was expected", "[config]") {
  for (const Rule& rule : kRules) {
    v1::RunSpec spec = Good();
    INFO(rule.overrides[0]);
    REQUIRE_OK(ApplyOverrides(rule.overrides, &spec));
    const std::vector<FieldViolation> violations = Validate(spec);
    REQUIRE(violations.size() == 1);
    CHECK(violations[0].path == rule.path);
    CHECK(violations[0].message == rule.message);
  }
}

TEST_CASE("what looks odd but is right is accepted", "[config]") {
  for (const std::vector<std::string>& overrides : std::vector<std::vector<std::string>>{
           {"stages.1.grpo.loss.clip_low=10"},  // DeepSeek-R1's clip range
           {"stages.1.grpo.kl.estimator=k1", "stages.1.grpo.kl.placement=reward"},
           {"stages.1.grpo.kl.estimator=k1", "stages.1.grpo.kl.beta=0"},
           {"stages.0.sft.optimizer.grad_clip=-1"},
           {"evaluations.0.sampling.greedy=true", "evaluations.0.sampling.temperature=-1"},
           {"stages.1.grpo.advantage={preset: dr_grpo}"},
           {"stages.1.grpo.advantage.eps=-1"},  // none
           {"stages.1.grpo.loss={policy: reinforce, off_policy: {weight: token_truncate}}"},
           {"stages.1.grpo.loss={policy: dppo_tv, ratio_cap: 20}"},
           {"stages.1.grpo.loss={ratio_cap: 3, off_policy: {recompute_old: true, weight: "
            "token_mask}}"},
           {"reward.scorers.0.weight=-0.5"}}) {
    v1::RunSpec spec = Good();
    REQUIRE_OK(ApplyOverrides(overrides, &spec));
    for (const FieldViolation& v : Validate(spec)) FAIL_CHECK(v.path << ": " << v.message);
    ApplyDefaults(spec);
    for (const FieldViolation& v : Validate(spec)) FAIL_CHECK(v.path << ": " << v.message);
  }
}

TEST_CASE("numbers that only the wire can carry are refused", "[config]") {
  v1::RunSpec spec = Good();
  v1::GrpoStage& grpo = *spec.mutable_stages(1)->mutable_grpo();
  grpo.mutable_kl()->set_refresh_steps(1);
  grpo.mutable_loss()->set_clip_low(std::numeric_limits<double>::infinity());
  grpo.mutable_loss()->set_policy(static_cast<v1::LossSpec::Policy>(77));
  const std::vector<FieldViolation> violations = Validate(spec);
  REQUIRE(violations.size() == 2);
  CHECK(violations[0].path == "stages[1].grpo.loss.policy");
  CHECK(violations[0].message == "77 (expected a value of hone.v1.LossSpec.Policy)");
  CHECK(violations[1].path == "stages[1].grpo.loss.clip_low");
  CHECK(violations[1].message == "inf (expected a finite number)");
}

TEST_CASE("an empty spec is told everything that is missing", "[config]") {
  std::vector<std::string> paths;
  for (const FieldViolation& v : Validate(v1::RunSpec())) paths.push_back(v.path);
  CHECK(paths == std::vector<std::string>{"name", "model.path", "stages", "checkpoint.path"});
}

TEST_CASE("violations travel as a BadRequest payload", "[config]") {
  const absl::Status status = ToStatus({{"a.b", "1 (expected 2)"}, {"c", "missing"}});
  CHECK(status.message() == "a.b: 1 (expected 2)\nc: missing");
  google::rpc::BadRequest details;
  auto payload = status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  REQUIRE(payload.has_value());
  REQUIRE(details.ParseFromString(std::string(*payload)));
  REQUIRE(details.field_violations_size() == 2);
  CHECK(details.field_violations(0).field() == "a.b");
  CHECK(details.field_violations(1).description() == "missing");
}

TEST_CASE("bare sampling parameters are validated under their own path", "[config]") {
  v1::SamplingParams sampling;
  CHECK(Validate(sampling, "sampling").at(0).path == "sampling.max_new_tokens");
  CHECK(Validate(sampling, "").at(0).path == "max_new_tokens");
  sampling.set_max_new_tokens(1);
  CHECK(Validate(sampling, "").empty());
}

}  // namespace
}  // namespace hone
