#include "libs/config/defaults.h"

#include <algorithm>

namespace hone {
namespace {

constexpr int kMicroBatchTokens = 4096;

void Fill(v1::OptimizerSpec& o) {
  if (o.kind() == v1::OptimizerSpec::KIND_UNSPECIFIED) o.set_kind(v1::OptimizerSpec::KIND_ADAMW);
  if (o.schedule() == v1::OptimizerSpec::SCHEDULE_UNSPECIFIED)
    o.set_schedule(v1::OptimizerSpec::SCHEDULE_CONSTANT);
  if (o.beta1() == 0) o.set_beta1(0.9);
  if (o.beta2() == 0) o.set_beta2(0.95);
  if (o.eps() == 0) o.set_eps(1e-8);
  if (o.grad_clip() == 0) o.set_grad_clip(1.0);
  if (o.muon_momentum() == 0) o.set_muon_momentum(0.95);
}

void Fill(v1::SftStage& s) {
  Fill(*s.mutable_optimizer());
  if (s.max_micro_batch_tokens() == 0) s.set_max_micro_batch_tokens(kMicroBatchTokens);
}

void Fill(v1::PretrainStage& s) {
  Fill(*s.mutable_optimizer());
  if (s.max_micro_batch_tokens() == 0) s.set_max_micro_batch_tokens(kMicroBatchTokens);
  if (s.has_fim() && s.fim().rate() == 0) s.mutable_fim()->set_rate(0.5);
}

void Fill(v1::AdvantageSpec& a) {
  // A preset stands alone: it says what these fields would.
  if (!a.preset().empty()) return;
  if (a.kind() == v1::AdvantageSpec::KIND_UNSPECIFIED)
    a.set_kind(v1::AdvantageSpec::KIND_GROUP_STD);
  if (a.eps() == 0) a.set_eps(1e-6);
}

void Fill(v1::OffPolicySpec& o) {
  if (o.weight() == v1::OffPolicySpec::WEIGHT_UNSPECIFIED)
    o.set_weight(v1::OffPolicySpec::WEIGHT_NONE);
  if (o.weight() != v1::OffPolicySpec::WEIGHT_NONE && o.weight_high() == 0)
    o.set_weight_high(o.weight() == v1::OffPolicySpec::WEIGHT_TOKEN_MASK ? 5 : 2);
  if (o.max_nonfinite() == 0) o.set_max_nonfinite(0.01);
}

void Fill(v1::LossSpec& l) {
  if (l.policy() == v1::LossSpec::POLICY_UNSPECIFIED) l.set_policy(v1::LossSpec::POLICY_CLIP);
  if (l.aggregation() == v1::LossSpec::AGGREGATION_UNSPECIFIED)
    l.set_aggregation(v1::LossSpec::AGGREGATION_TOKEN_MEAN);
  if (l.clip_low() == 0) l.set_clip_low(0.2);
  if (l.clip_high() == 0) l.set_clip_high(l.clip_low());
  if (l.policy() == v1::LossSpec::POLICY_DPPO_TV && l.ratio_cap() == 0) l.set_ratio_cap(20);
  if (l.sapo_tau_positive() == 0) l.set_sapo_tau_positive(1.0);
  if (l.sapo_tau_negative() == 0) l.set_sapo_tau_negative(1.05);
  Fill(*l.mutable_off_policy());
}

void Fill(v1::KlSpec& k) {
  if (k.estimator() == v1::KlSpec::ESTIMATOR_UNSPECIFIED) k.set_estimator(v1::KlSpec::ESTIMATOR_K3);
  if (k.placement() == v1::KlSpec::PLACEMENT_UNSPECIFIED)
    k.set_placement(v1::KlSpec::PLACEMENT_LOSS);
  if (k.monitor_every() == 0) k.set_monitor_every(1);
}

void Fill(v1::GrpoStage& g) {
  if (g.updates_per_step() == 0) g.set_updates_per_step(1);
  ApplyDefaults(*g.mutable_sampling());
  Fill(*g.mutable_advantage());
  Fill(*g.mutable_loss());
  Fill(*g.mutable_kl());
  Fill(*g.mutable_optimizer());
  if (g.max_micro_batch_tokens() == 0) g.set_max_micro_batch_tokens(kMicroBatchTokens);
  if (g.min_group() == 0) g.set_min_group(std::max(2, g.group_size() / 2));
  if (g.truncation() == v1::TRUNCATION_MODE_UNSPECIFIED) g.set_truncation(v1::TRUNCATION_MODE_KEEP);
}

void Fill(v1::RewardSpec& r) {
  for (v1::ScorerSpec& scorer : *r.mutable_scorers())
    if (scorer.weight() == 0) scorer.set_weight(1);
}

}  // namespace

void ApplyDefaults(v1::SamplingParams& sampling) {
  if (sampling.temperature() == 0) sampling.set_temperature(1);
  if (sampling.top_p() == 0) sampling.set_top_p(1);
}

void ApplyDefaults(v1::RunSpec& spec) {
  if (spec.model().precision() == v1::PRECISION_UNSPECIFIED)
    spec.mutable_model()->set_precision(v1::PRECISION_F32);
  if (spec.model().device() == v1::DEVICE_UNSPECIFIED)
    spec.mutable_model()->set_device(v1::DEVICE_AUTO);
  if (spec.model().activation_checkpointing() == v1::ACTIVATION_CHECKPOINTING_UNSPECIFIED)
    spec.mutable_model()->set_activation_checkpointing(v1::ACTIVATION_CHECKPOINTING_NONE);
  for (v1::StageSpec& stage : *spec.mutable_stages()) {
    if (stage.has_sft()) Fill(*stage.mutable_sft());
    if (stage.has_pretrain()) Fill(*stage.mutable_pretrain());
    if (stage.has_grpo()) Fill(*stage.mutable_grpo());
  }
  Fill(*spec.mutable_reward());
  for (v1::PromptSetReward& own : *spec.mutable_prompt_set_rewards()) Fill(*own.mutable_reward());
  for (v1::EvaluationSpec& evaluation : *spec.mutable_evaluations())
    ApplyDefaults(*evaluation.mutable_sampling());
  if (spec.checkpoint().keep() == 0) spec.mutable_checkpoint()->set_keep(3);
}

}  // namespace hone
