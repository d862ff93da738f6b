#include "services/cli/memory_report.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/loop/device_memory.h"
#include "libs/loop/rollout_loop.h"

namespace hone::cli {
namespace {

int64_t Whole(double bytes) {
  return std::llround(bytes);
}

// For a run that works at its limits.
MemoryUse UseOf(const v1::RunSpec& spec, const ModelConfig& model) {
  const MemoryUse rollout = DefaultMemoryUse();
  MemoryUse use = TrainingUse(spec);
  use.cache_tokens = rollout.cache_tokens;
  use.batch_tokens = rollout.batch_tokens;
  use.sequences = rollout.sequences;
  // A longer sequence makes a micro-batch of its own.
  const int64_t context =
      spec.model().max_context() > 0 ? spec.model().max_context() : model.max_positions;
  use.micro_batch_tokens = std::max(use.micro_batch_tokens, context);
  use.scored_tokens = use.micro_batch_tokens;
  return use;
}

v1::StagePlan PlanOf(const v1::StageSpec& stage) {
  v1::StagePlan plan;
  plan.set_name(stage.name());
  const auto supervised = [&plan](const char* kind, const auto& spec) {
    plan.set_kind(kind);
    plan.set_steps(spec.steps());
    plan.set_prompts_per_step(spec.batch_size());
    plan.set_group_size(1);
    plan.set_updates_per_step(1);
    plan.set_micro_batch_tokens(spec.max_micro_batch_tokens());
  };
  if (stage.has_sft()) {
    supervised("sft", stage.sft());
  } else if (stage.has_pretrain()) {
    supervised("pretrain", stage.pretrain());
  } else {
    const v1::GrpoStage& grpo = stage.grpo();
    plan.set_kind("grpo");
    plan.set_steps(grpo.steps());
    plan.set_prompts_per_step(grpo.prompts_per_step());
    plan.set_group_size(grpo.group_size());
    plan.set_updates_per_step(std::max(1, grpo.updates_per_step()));
    plan.set_max_new_tokens(grpo.sampling().max_new_tokens());
    plan.set_micro_batch_tokens(grpo.max_micro_batch_tokens());
  }
  plan.set_completions_per_step(plan.prompts_per_step() * plan.group_size());
  plan.set_completions_per_update((plan.completions_per_step() + plan.updates_per_step() - 1) /
                                  plan.updates_per_step());
  plan.set_max_completion_tokens_per_step(plan.completions_per_step() * plan.max_new_tokens());
  plan.set_updates(plan.steps() * plan.updates_per_step());
  plan.set_completions(plan.steps() * plan.completions_per_step());
  return plan;
}

}  // namespace

std::string Bytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(kUnits)) bytes /= 1000, ++unit;
  return absl::StrFormat(unit == 0 || bytes >= 99.95 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
}

MemoryUse DefaultMemoryUse() {
  const RolloutLoop::Options rollout;
  MemoryUse use;
  use.cache_tokens = rollout.cache_tokens;
  use.batch_tokens = rollout.max_batch_tokens;
  use.sequences = rollout.max_sequences;
  return use;
}

v1::ModelMemory MemoryOf(const ModelConfig& config, const MemoryUse& use) {
  v1::ModelMemory memory;
  memory.set_precision(use.dtype == DType::kBF16 ? "bf16" : "f32");
  memory.set_cache_bytes_per_token(Whole(CacheBytesPerToken(config, use.dtype)));
  memory.set_activation_bytes_per_token(
      Whole(ActivationBytesPerToken(config, use.dtype, use.checkpointing)));
  const RolloutMemory r = MemoryOfRollout(config, use);
  v1::RolloutMemory& rollout = *memory.mutable_rollout();
  rollout.set_weights(Whole(r.weights));
  rollout.set_incoming_weights(Whole(r.incoming_weights));
  rollout.set_cache(Whole(r.cache));
  rollout.set_activations(Whole(r.activations));
  rollout.set_total(Whole(r.total()));
  rollout.set_cache_tokens(use.cache_tokens);
  rollout.set_batch_tokens(use.batch_tokens);
  const TrainingMemory t = MemoryOfTraining(config, use);
  v1::TrainingMemory& training = *memory.mutable_training();
  training.set_weights(Whole(t.weights));
  training.set_gradients(Whole(t.gradients));
  training.set_moments(Whole(t.moments));
  training.set_masters(Whole(t.masters));
  training.set_reference(Whole(t.reference));
  training.set_snapshot(Whole(t.snapshot));
  training.set_activations(Whole(t.activations));
  training.set_head(Whole(t.head));
  training.set_total(Whole(t.total()));
  training.set_micro_batch_tokens(use.micro_batch_tokens);
  memory.set_colocated(Whole(t.total() + ColocatedMemory(r)));
  return memory;
}

void PrintMemory(Output& output, const v1::ModelMemory& memory) {
  const v1::RolloutMemory& r = memory.rollout();
  const v1::TrainingMemory& t = memory.training();
  // One process has one copy of the weights in use.
  Table table({absl::StrCat("MEMORY (", memory.precision(), ")"), "ROLLOUT", "LEARNER",
               "LEARNER --COLOCATE"});
  const auto row = [&](const std::string& what, int64_t rollout, int64_t learner, int64_t both) {
    const auto cell = [](int64_t bytes) {
      return bytes == 0 ? std::string("-") : Bytes(static_cast<double>(bytes));
    };
    table.Add({what, cell(rollout), cell(learner), cell(both)});
  };
  const auto sum = [&](const std::string& what, int64_t rollout, int64_t learner) {
    row(what, rollout, learner, rollout + learner);
  };
  row("weights", r.weights(), t.weights(), t.weights());
  sum("weights of a second version", r.incoming_weights(), 0);
  sum("gradients", 0, t.gradients());
  sum("moments", 0, t.moments());
  sum("f32 masters", 0, t.masters());
  sum("reference", 0, t.reference());
  sum(absl::StrCat("key/value cache, ", Grouped(r.cache_tokens()), " tokens"), r.cache(), 0);
  sum(absl::StrCat("activations of ", Grouped(r.batch_tokens()), " / ",
                   Grouped(t.micro_batch_tokens()), " tokens"),
      r.activations(), t.activations());
  sum("logits", 0, t.head());
  row("total", r.total(), t.total(), memory.colocated());
  table.Print(output);
  output.Line(absl::StrCat(
      "per token: ", Bytes(static_cast<double>(memory.cache_bytes_per_token())), " of cache, ",
      Bytes(static_cast<double>(memory.activation_bytes_per_token())),
      " of activations in training; beside that ", Bytes(static_cast<double>(t.snapshot())),
      " of the learner's host, for what workers fetch"));
}

v1::RunPlan PlanOf(const v1::RunSpec& spec, const ModelConfig* model) {
  v1::RunPlan plan;
  plan.set_name(spec.name());
  for (const v1::StageSpec& stage : spec.stages()) *plan.add_stages() = PlanOf(stage);
  if (model != nullptr) *plan.mutable_memory() = MemoryOf(*model, UseOf(spec, *model));
  return plan;
}

void PrintPlan(Output& output, const v1::RunPlan& plan) {
  Table table({"STAGE", "KIND", "STEPS", "PROMPTS", "GROUP", "COMPLETIONS", "UPDATES", "PER UPDATE",
               "TOKENS <=", "MICRO-BATCH", "TOTAL UPDATES", "TOTAL COMPLETIONS"});
  for (const v1::StagePlan& s : plan.stages())
    table.Add({s.name(), s.kind(), Grouped(s.steps()), Grouped(s.prompts_per_step()),
               Grouped(s.group_size()), Grouped(s.completions_per_step()),
               Grouped(s.updates_per_step()), Grouped(s.completions_per_update()),
               s.max_new_tokens() == 0 ? "-" : Grouped(s.max_completion_tokens_per_step()),
               Grouped(s.micro_batch_tokens()), Grouped(s.updates()), Grouped(s.completions())});
  table.Print(output);
  if (!plan.has_memory()) return;
  output.Line("");
  PrintMemory(output, plan.memory());
}

}  // namespace hone::cli
