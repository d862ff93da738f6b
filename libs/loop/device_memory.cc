#include "libs/loop/device_memory.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/check.h"

namespace hone {
namespace {

// What memory.h does not count: temporaries of kernels, index arrays, rotary tables.
constexpr double kBeside = 1e9;

absl::Status Check(const kernels::Table& table, const std::string& who, double bytes,
                   const std::string& parts, const std::string& help) {
  if (table.free_memory == nullptr) return absl::OkStatus();
  int64_t free = 0;
  const kernels::Error error = table.free_memory(&free);
  HONE_CHECK(error == nullptr) << table.name << ": " << error;
  if (bytes + kBeside <= static_cast<double>(free)) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "%s needs %.1f GB of device memory (%s) and %.0f GB beside; %.1f GB are free on %s. Less "
      "take: %s",
      who, bytes / 1e9, parts, kBeside / 1e9, static_cast<double>(free) / 1e9, table.name, help));
}

std::string Part(const char* what, double bytes) {
  return absl::StrFormat("%s %.1f", what, bytes / 1e9);
}

}  // namespace

MemoryUse TrainingUse(const v1::RunSpec& spec) {
  MemoryUse use;
  if (spec.model().precision() == v1::PRECISION_BF16) use.dtype = DType::kBF16;
  // An adapter that is not here is counted as nothing, as a model folder that is not.
  if (spec.model().has_lora())
    if (const absl::StatusOr<LoraConfig> lora = LoraOf(spec.model().lora()); lora.ok())
      use.lora = *lora;
  use.checkpointing = CheckpointingOf(spec.model());
  const int64_t by_default = use.micro_batch_tokens;
  use.micro_batch_tokens = 0;
  for (const v1::StageSpec& stage : spec.stages()) {
    const int64_t tokens = stage.has_grpo()       ? stage.grpo().max_micro_batch_tokens()
                           : stage.has_pretrain() ? stage.pretrain().max_micro_batch_tokens()
                                                  : stage.sft().max_micro_batch_tokens();
    use.micro_batch_tokens = std::max(use.micro_batch_tokens, tokens > 0 ? tokens : by_default);
    use.reference =
        use.reference ||
        (stage.has_grpo() && (stage.grpo().kl().beta() > 0 || stage.grpo().kl().monitor()));
  }
  use.scored_tokens = use.micro_batch_tokens;
  return use;
}

absl::Status CheckTrainingMemory(const v1::RunSpec& spec, const ModelFolder& folder) {
  const MemoryUse use = TrainingUse(spec);
  const TrainingMemory m = MemoryOfTraining(folder.config, use);
  return Check(
      *folder.table, "the learner", m.total(),
      absl::StrCat(Part("weights", m.weights), ", ", Part("gradients", m.gradients), ", ",
                   Part("optimiser", m.moments + m.masters), ", ", Part("reference", m.reference),
                   ", ", Part("activations", m.activations), " for ", use.micro_batch_tokens,
                   " tokens, ", Part("logits", m.head)),
      "model.activation_checkpointing, a smaller max_micro_batch_tokens, model.precision bf16, "
      "model.lora, no kl.beta and kl.monitor");
}

absl::Status CheckRolloutMemory(const ModelFolder& folder, MemoryUse use, bool lent) {
  use.dtype = folder.dtype;
  use.lora = folder.lora;
  const RolloutMemory m = MemoryOfRollout(folder.config, use);
  return Check(*folder.table, "the rollout worker", lent ? ColocatedMemory(m) : m.total(),
               absl::StrCat(Part("weights", lent ? 0 : m.weights), ", ",
                            Part("a second version", m.incoming_weights), ", ",
                            Part("cache", m.cache), " for ", use.cache_tokens, " tokens, ",
                            Part("activations", m.activations), " for ", use.batch_tokens),
               "--cache-tokens, --max-batch-tokens, --max-sequences, model.precision bf16, "
               "model.lora");
}

}  // namespace hone
