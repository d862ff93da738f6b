#include "libs/config/defaults.h"

#include "libs/config/config.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

v1::RunSpec Spec() {
  v1::RunSpec spec;
  REQUIRE_OK(ParseYaml(R"(
stages:
  - sft: {steps: 10}
  - grpo: {group_size: 5, updates_per_step: 2}
reward: {scorers: [{name: math}]}
evaluations: [{name: val}]
)",
                       "spec.yaml", &spec));
  return spec;
}

TEST_CASE("defaults are those that the proto documents", "[config]") {
  v1::RunSpec spec = Spec();
  ApplyDefaults(spec);
  CHECK(spec.model().precision() == v1::PRECISION_F32);
  CHECK(spec.model().device() == v1::DEVICE_AUTO);
  CHECK(spec.model().activation_checkpointing() == v1::ACTIVATION_CHECKPOINTING_NONE);
  CHECK(spec.checkpoint().keep() == 3);
  CHECK(spec.reward().scorers(0).weight() == 1);
  CHECK(spec.evaluations(0).sampling().temperature() == 1);
  const v1::SftStage& sft = spec.stages(0).sft();
  CHECK(sft.max_micro_batch_tokens() == 4096);
  CHECK(sft.optimizer().kind() == v1::OptimizerSpec::KIND_ADAMW);
  CHECK(sft.optimizer().schedule() == v1::OptimizerSpec::SCHEDULE_CONSTANT);
  CHECK(sft.optimizer().beta1() == 0.9);
  CHECK(sft.optimizer().beta2() == 0.95);
  CHECK(sft.optimizer().eps() == 1e-8);
  CHECK(sft.optimizer().grad_clip() == 1);
  CHECK(sft.optimizer().muon_momentum() == 0.95);
  const v1::GrpoStage& grpo = spec.stages(1).grpo();
  CHECK(grpo.updates_per_step() == 2);
  CHECK(grpo.min_group() == 2);
  CHECK(grpo.loss().ratio_cap() == 0);
  CHECK(grpo.loss().sapo_tau_positive() == 1.0);
  CHECK(grpo.loss().sapo_tau_negative() == 1.05);
  CHECK(grpo.loss().off_policy().weight() == v1::OffPolicySpec::WEIGHT_NONE);
  CHECK(grpo.loss().off_policy().weight_high() == 0);
  CHECK(grpo.loss().off_policy().max_nonfinite() == 0.01);
  CHECK(grpo.max_micro_batch_tokens() == 4096);
  CHECK(grpo.truncation() == v1::TRUNCATION_MODE_KEEP);
  CHECK(grpo.sampling().top_p() == 1);
  CHECK(grpo.advantage().kind() == v1::AdvantageSpec::KIND_GROUP_STD);
  CHECK(grpo.advantage().eps() == 1e-6);
  CHECK(grpo.loss().policy() == v1::LossSpec::POLICY_CLIP);
  CHECK(grpo.loss().aggregation() == v1::LossSpec::AGGREGATION_TOKEN_MEAN);
  CHECK(grpo.loss().clip_low() == 0.2);
  CHECK(grpo.loss().clip_high() == 0.2);
  CHECK(grpo.kl().estimator() == v1::KlSpec::ESTIMATOR_K3);
  CHECK(grpo.kl().placement() == v1::KlSpec::PLACEMENT_LOSS);
  CHECK(grpo.kl().monitor_every() == 1);
  const std::string once = spec.SerializeAsString();
  ApplyDefaults(spec);
  CHECK(spec.SerializeAsString() == once);

  v1::RunSpec set = Spec();
  set.mutable_stages(1)->mutable_grpo()->mutable_loss()->set_clip_low(0.3);
  set.mutable_stages(1)->mutable_grpo()->mutable_loss()->set_clip_high(0.4);
  set.mutable_stages(1)->mutable_grpo()->mutable_loss()->set_policy(v1::LossSpec::POLICY_DPPO_TV);
  set.mutable_stages(1)->mutable_grpo()->mutable_loss()->mutable_off_policy()->set_weight(
      v1::OffPolicySpec::WEIGHT_TOKEN_MASK);
  set.mutable_stages(1)->mutable_grpo()->mutable_advantage()->set_preset("dr_grpo");
  set.mutable_stages(1)->mutable_grpo()->set_group_size(8);
  ApplyDefaults(set);
  CHECK(set.stages(1).grpo().loss().ratio_cap() == 20);
  CHECK(set.stages(1).grpo().loss().off_policy().weight_high() == 5);
  CHECK(set.stages(1).grpo().advantage().kind() == v1::AdvantageSpec::KIND_UNSPECIFIED);
  CHECK(set.stages(1).grpo().advantage().eps() == 0);
  CHECK(set.stages(1).grpo().loss().clip_high() == 0.4);
  CHECK(set.stages(1).grpo().min_group() == 4);
}

}  // namespace
}  // namespace hone
