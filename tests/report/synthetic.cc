#include "tests/report/synthetic.h"

#include <cmath>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"

namespace hone::testing {
namespace {

constexpr int64_t kStart = 1767000000;

class Noise {
 public:
  double operator()(double mean, double deviation) { return mean + deviation * normal_(engine_); }

 private:
  std::mt19937 engine_{7};
  std::normal_distribution<double> normal_;
};

v1::Completion MakeCompletion(int index, bool correct, bool scored, int attempts) {
  v1::Completion c;
  c.set_sample_index(index);
  std::string text = "<think>";
  static constexpr const char* kTries[] = {"16-12=4+6=10no.", "12+6=18-16=2no.",
                                           "16-6=10+12=22ok."};
  for (int i = 0; i < attempts; ++i) absl::StrAppend(&text, i > 0 ? "\n" : "", kTries[i % 3]);
  absl::StrAppend(&text, "</think>\n<answer>", correct ? "16-6+12" : "12+6-16", "</answer>");
  c.set_text(text);
  for (int i = 0; i < 14 * attempts + 9; ++i) c.add_token_ids(i);
  c.set_finish_reason(v1::FINISH_REASON_STOP_TOKEN);
  v1::Verdict& v = *c.mutable_verdict();
  v.set_outcome(scored ? v1::OUTCOME_SCORED : v1::OUTCOME_VERIFIER_UNAVAILABLE);
  v.set_correct(correct && scored);
  v.set_score((correct ? 1.0 : 0.0) + 0.1);
  v1::ScorePart& p = *v.add_parts();
  p.set_scorer("countdown");
  p.set_value(correct);
  p.set_weight(1);
  p.set_outcome(v.outcome());
  p.set_reason(scored ? correct ? "the expression gives 22" : "the expression gives 2, wanted 22"
                      : "deadline of 2 s passed");
  v1::ScorePart& f = *v.add_parts();
  f.set_scorer("format");
  f.set_value(1);
  f.set_weight(0.1);
  f.set_outcome(v1::OUTCOME_SCORED);
  return c;
}

v1::Group MakeGroup(int prompt, int64_t version, int correct_of_8) {
  v1::Group g;
  g.set_stage("grpo");
  g.set_prompt_id(absl::StrCat("countdown-", prompt));
  g.set_prompt_text("<user>Use 16, 6 and 12 to make 22.<assistant>");
  g.set_weights_version(version);
  for (int i = 0; i < 8; ++i)
    *g.add_completions() =
        MakeCompletion(i, (i * 3 + prompt) % 8 < correct_of_8, i != 6, 1 + i % 3);
  return g;
}

}  // namespace

ReportData SyntheticRun(int sft_steps, int grpo_steps) {
  Noise noise;
  ReportData data;
  v1::Run& run = data.run;
  run.set_id("countdown-1");
  run.set_state(v1::RUN_STATE_SUCCEEDED);
  v1::RunSpec& spec = *run.mutable_spec();
  spec.set_name("countdown");
  spec.set_seed(1);
  spec.mutable_model()->set_path("demo/model");
  spec.mutable_checkpoint()->set_every_steps(50);
  if (sft_steps > 0) {
    v1::StageSpec& stage = *spec.add_stages();
    stage.set_name("cold-start");
    stage.mutable_sft()->set_steps(sft_steps);
  }
  v1::StageSpec& stage = *spec.add_stages();
  stage.set_name("grpo");
  stage.mutable_grpo()->set_steps(grpo_steps);
  stage.mutable_grpo()->set_prompts_per_step(16);
  run.set_step(sft_steps + grpo_steps);
  run.set_checkpoint_step(run.step());
  run.set_checkpoint_path(absl::StrCat("checkpoints/step-", run.step()));
  run.mutable_create_time()->set_seconds(kStart);
  run.mutable_end_time()->set_seconds(kStart + 431);

  for (int i = 1; i <= sft_steps; ++i) {
    v1::StepMetrics m;
    m.set_step(i);
    m.set_stage("cold-start");
    m.set_stage_step(i);
    const double x = static_cast<double>(i) / sft_steps;
    auto& v = *m.mutable_values();
    v["loss"] = std::abs(noise(0.55 + 4 * std::exp(-12 * x), 0.03));
    v["entropy"] = std::abs(noise(0.5 + 4 * std::exp(-11 * x), 0.02));
    v["grad_norm"] = std::exp(noise(1.5 * std::exp(-9 * x) - 0.6, 0.25));
    v["learning_rate"] = 4e-3 * std::min(i / 20.0, 1 - 0.9 * x);
    v["batch_tokens"] = std::round(noise(1900, 90));
    v["completion_tokens"] = v["batch_tokens"] - 416;
    v["train_seconds"] = std::abs(noise(0.06, 0.004));
    v["step_seconds"] = v["train_seconds"] + 0.002;
    v["train_tokens_per_second"] = v["batch_tokens"] / v["train_seconds"];
    v["moe_max_violation"] = std::abs(noise(0.15 + std::exp(-15 * x), 0.04));
    data.steps.push_back(m);
  }
  for (int i = 1; i <= grpo_steps; ++i) {
    v1::StepMetrics m;
    m.set_step(sft_steps + i);
    m.set_stage("grpo");
    m.set_stage_step(i);
    const double x = static_cast<double>(i) / grpo_steps;
    const double pass = 0.93 - 0.45 * std::exp(-3.5 * x);
    auto& v = *m.mutable_values();
    v["pass_at_1"] = std::min(1.0, std::max(0.0, noise(pass, 0.035)));
    v["reward_mean"] = v["pass_at_1"] + 0.098;
    v["response_length_mean"] = noise(34 + 13 * (1 - std::exp(-3 * x)), 1.2);
    v["response_length_p95"] = std::round(noise(58 + 12 * (1 - std::exp(-3 * x)), 2));
    v["rollout_entropy"] = std::abs(noise(0.46 - 0.2 * x, 0.012));
    if (i % 10 == 0) v["kl_to_reference"] = std::abs(noise(0.05 * x, 0.001));
    v["zero_variance_high_fraction"] = std::min(0.8, std::max(0.0, noise(0.55 * x, 0.06)));
    v["zero_variance_low_fraction"] = std::max(0.0, noise(0.05 - 0.05 * x, 0.02));
    v["zero_variance_fraction"] =
        v["zero_variance_high_fraction"] + v["zero_variance_low_fraction"];
    v["truncated_ratio"] = std::max(0.0, noise(0.01, 0.004));
    v["unscored_ratio"] = 0;
    v["clip_fraction_low"] = std::abs(noise(0.001, 0.0004));
    v["clip_fraction_high"] = std::abs(noise(0.0016, 0.0005));
    v["grad_norm"] = std::exp(noise(-1.1, 0.3));
    v["learning_rate"] = 2e-4 * std::min(1.0, i / 5.0);
    v["logprob_abs_diff_max"] = 0;
    v["moe_max_violation"] = std::abs(noise(0.22, 0.04));
    v["staleness_mean"] = 0;
    v["groups"] = 16;
    v["groups_dropped"] = std::round(16 * v["zero_variance_fraction"]);
    v["completion_tokens"] = std::round(256 * v["response_length_mean"]);
    v["batch_tokens"] = v["completion_tokens"] + 256 * 13;
    v["train_seconds"] = std::abs(noise(0.72, 0.05));
    v["wait_batch_seconds"] = std::abs(noise(0.9, 0.1)) + (i % 50 == 0 ? 1.3 : 0);
    v["step_seconds"] = v["train_seconds"] + v["wait_batch_seconds"] + 0.04;
    v["train_tokens_per_second"] = v["batch_tokens"] / v["train_seconds"];
    data.steps.push_back(m);
  }
  for (const char* name : {"validation", "test"}) {
    const bool ends_only = std::string(name) == "test";
    for (int i = 0; i <= 4; ++i) {
      if (ends_only && i != 0 && i != 4) continue;
      v1::Evaluation e;
      e.set_name(name);
      e.set_step(sft_steps + i * grpo_steps / 4);
      e.set_stage(i == 0 ? "cold-start" : "grpo");
      e.set_prompts(256);
      e.set_prompts_done(256);
      e.set_samples(8);
      e.set_pass_at_1(0.93 - 0.45 * std::exp(-3.5 * i / 4.0) + (ends_only ? -0.012 : 0));
      e.set_pass_at_k(std::min(1.0, e.pass_at_1() + 0.3 - 0.06 * i));
      e.set_majority_at_k(std::min(1.0, e.pass_at_1() + 0.08));
      e.set_mean_reward(e.pass_at_1() + 0.098);
      e.set_mean_tokens(34 + 3 * i);
      e.set_format_rate(0.985);
      e.set_truncated_rate(0.008);
      e.set_done(true);
      data.evaluations.push_back(e);
    }
  }
  for (int i = 0; i < 3; ++i) {
    data.first_groups.push_back(MakeGroup(i, sft_steps, 3));
    data.last_groups.push_back(MakeGroup(i, sft_steps + grpo_steps - 1, i == 1 ? 8 : 7));
  }
  data.ledgers["learner"] = {{"train", 271.2},     {"wait_batch", 131.9}, {"publish", 1.9},
                             {"checkpoint", 3.1},  {"evaluate", 14.2},    {"load", 2.2},
                             {"bookkeeping", 4.0}, {"idle", 2.5}};
  data.ledgers["rollout-1"] = {{"generate", 139.1},    {"wait_prompts", 262.0},
                               {"wait_weights", 21.3}, {"swap_weights", 1.4},
                               {"wait_verdicts", 4.9}, {"idle", 2.2}};
  data.machine = "2 cores, 8 GiB, AVX-512";
  data.issues = {{"covered", 16 * grpo_steps}, {"dropped", 0}};
  data.model = "216 k parameters, 8 experts";
  return data;
}

}  // namespace hone::testing
