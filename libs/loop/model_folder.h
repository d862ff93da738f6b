#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/chat/chat_format.h"
#include "libs/model/activation_checkpointing.h"
#include "libs/model/parameters.h"
#include "libs/tensor/device.h"
#include "libs/tokenizer/tokenizer.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// What the model folder of a run says, read alike by workers and learner.
struct ModelFolder {
  ModelConfig config;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<ChatFormat> chat;  // when the run writes prompts out as conversations
  int64_t max_context = 0;
  int64_t vocab =
      0;  // ids that can be sampled: those of the tokenizer that the embedding has rows for
  DType dtype = DType::kF32;
  const kernels::Table* table = nullptr;  // the backend that computes; never null when opened
  LoraConfig lora;                        // of the run, or of the adapter that it starts from
};

// tokenizer.json or tiktoken.model in a model's folder; "" when it has neither.
std::string TokenizerPath(const std::string& folder);

// The backend of `device`. FAILED_PRECONDITION: it is not there, or incomplete (FindTable).
absl::StatusOr<const kernels::Table*> TableFor(v1::Device device);

// The adapters that a run asks for, or that those it starts from have. Errors of ReadAdapterConfig.
absl::StatusOr<LoraConfig> LoraOf(const v1::LoraSpec& spec);

ActivationCheckpointing CheckpointingOf(const v1::ModelSpec& spec);

// INVALID_ARGUMENT or NOT_FOUND with the path; FAILED_PRECONDITION: see TableFor, or precision bf16
// without a matrix unit for it.
absl::StatusOr<ModelFolder> OpenModelFolder(const v1::ModelSpec& spec);

// The weights of a model folder, and of the adapter that `spec` names, if any, merged. Errors of
// LoadWeights and LoadAdapters.
absl::Status LoadModelWeights(const v1::ModelSpec& spec, const ModelFolder& folder,
                              const ParameterLayout& layout, Weights& weights);

// What the model is given for `prompt`: the conversation in its chat template, or the prompt's text
// with its control tokens. INVALID_ARGUMENT for messages in a run without `model.chat`.
absl::StatusOr<PromptTokens> EncodePrompt(const ModelFolder& folder, const v1::Prompt& prompt);
// The demonstration of `prompt`, as the model would have sampled it.
absl::StatusOr<std::vector<int32_t>> EncodeResponse(const ModelFolder& folder,
                                                    const v1::Prompt& prompt);

}  // namespace hone
