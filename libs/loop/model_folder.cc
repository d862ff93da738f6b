#include "libs/loop/model_folder.h"

#include <algorithm>
#include <filesystem>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status.h"
#include "libs/checkpoint/hf_reader.h"
#include "libs/model/adapter.h"
#include "libs/model/load.h"
#include "libs/model/lora.h"

namespace hone {
absl::StatusOr<const kernels::Table*> TableFor(v1::Device device) {
  switch (device) {
    case v1::DEVICE_CPU:
      return FindTable(DeviceKind::kCpu);
    case v1::DEVICE_CUDA:
      return FindTable(DeviceKind::kCuda);
    default:
      return FindTable(DeviceKind::kAuto);
  }
}

absl::StatusOr<LoraConfig> LoraOf(const v1::LoraSpec& spec) {
  if (!spec.adapter().empty()) return ReadAdapterConfig(spec.adapter());
  LoraConfig lora;
  lora.rank = spec.rank();
  lora.alpha = spec.alpha() > 0 ? spec.alpha() : 2.0 * spec.rank();
  lora.targets.assign(spec.targets().begin(), spec.targets().end());
  if (lora.targets.empty()) lora.targets = {LoraConfig::kAllLinear};
  return lora;
}

ActivationCheckpointing CheckpointingOf(const v1::ModelSpec& spec) {
  switch (spec.activation_checkpointing()) {
    case v1::ACTIVATION_CHECKPOINTING_FEED_FORWARD:
      return ActivationCheckpointing::kFeedForward;
    case v1::ACTIVATION_CHECKPOINTING_LAYER:
      return ActivationCheckpointing::kLayer;
    default:
      return ActivationCheckpointing::kNone;
  }
}

std::string TokenizerPath(const std::string& folder) {
  std::error_code error;
  for (const char* name : {"/tokenizer.json", "/tiktoken.model"})
    if (std::filesystem::exists(folder + name, error)) return folder + name;
  return "";
}

absl::StatusOr<ModelFolder> OpenModelFolder(const v1::ModelSpec& spec) {
  ModelFolder folder;
  HONE_ASSIGN_OR_RETURN(folder.config, LoadModelConfig(spec.path()));
  const std::string tokenizer =
      spec.tokenizer().empty() ? TokenizerPath(spec.path()) : spec.tokenizer();
  if (tokenizer.empty())
    return absl::NotFoundError(
        absl::StrCat(spec.path(), " has neither tokenizer.json nor tiktoken.model"));
  HONE_ASSIGN_OR_RETURN(folder.tokenizer, Tokenizer::Load(tokenizer));
  if (spec.has_chat()) {
    HONE_ASSIGN_OR_RETURN(folder.chat,
                          ChatFormat::Load(spec.chat(), spec.path(), *folder.tokenizer));
  }
  folder.vocab = std::min<int64_t>(folder.config.vocab, folder.tokenizer->vocab_size());
  folder.max_context = spec.max_context() > 0 ? spec.max_context() : folder.config.max_positions;
  if (folder.max_context > folder.config.max_positions)
    return absl::InvalidArgumentError(
        absl::StrCat("model.max_context ", folder.max_context, " is above the model's ",
                     folder.config.max_positions, " positions (", spec.path(), ")"));
  HONE_ASSIGN_OR_RETURN(folder.table, TableFor(spec.device()));
  if (spec.precision() == v1::PRECISION_BF16) {
    if (!folder.table->has_bf16())
      return absl::FailedPreconditionError(
          "model.precision bf16 needs a CPU with AMX or AVX512-BF16; use f32 on this machine");
    folder.dtype = DType::kBF16;
  } else if (folder.table == kernels::Cuda()) {
    static std::once_flag warned;
    std::call_once(warned, [] {
      Log(LogLevel::kWarning,
          "model.precision f32 on a GPU: products without its tensor cores take 10 to 20 times as "
          "long as in bf16");
    });
  }
  if (spec.has_lora()) {
    HONE_ASSIGN_OR_RETURN(folder.lora, LoraOf(spec.lora()));
    HONE_RETURN_IF_ERROR(CheckLora(folder.lora, folder.config));
  }
  return folder;
}

absl::Status LoadModelWeights(const v1::ModelSpec& spec, const ModelFolder& folder,
                              const ParameterLayout& layout, Weights& weights) {
  HONE_ASSIGN_OR_RETURN(const HfReader reader, HfReader::Open(spec.path()));
  HONE_RETURN_IF_ERROR(LoadWeights(reader, folder.config, layout, weights));
  if (!layout.adapted()) return absl::OkStatus();
  if (!spec.lora().adapter().empty())
    HONE_RETURN_IF_ERROR(LoadAdapters(spec.lora().adapter(), layout, weights.adapters));
  Arena arena(weights.table());
  MergeAdapters(Device(weights.table(), 1), arena, layout, weights);
  return absl::OkStatus();
}

absl::StatusOr<PromptTokens> EncodePrompt(const ModelFolder& folder, const v1::Prompt& prompt) {
  if (folder.chat) return folder.chat->Encode(prompt);
  if (!prompt.messages().empty())
    return absl::InvalidArgumentError(
        absl::StrCat("prompt ", prompt.id(), " has messages, which need model.chat in the run"));
  PromptTokens tokens;
  HONE_ASSIGN_OR_RETURN(tokens.ids,
                        folder.tokenizer->Encode(prompt.text(), {.parse_special = true}));
  tokens.text = prompt.text();
  return tokens;
}

absl::StatusOr<std::vector<int32_t>> EncodeResponse(const ModelFolder& folder,
                                                    const v1::Prompt& prompt) {
  if (prompt.response().empty())
    return absl::InvalidArgumentError(absl::StrCat("prompt ", prompt.id(), ": no response"));
  if (folder.chat) return folder.chat->EncodeResponse(prompt.response());
  HONE_ASSIGN_OR_RETURN(std::vector<int32_t> ids,
                        folder.tokenizer->Encode(prompt.response(), {.parse_special = true}));
  if (ids.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("prompt ", prompt.id(), ": its response has no tokens"));
  return ids;
}

}  // namespace hone
