#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/checkpoint/folder_writer.h"
#include "libs/checkpoint/hf_writer.h"
#include "libs/model/parameters.h"

namespace hone {

// Both functions below write a model in Hugging Face layout into `subfolder` ("" or a relative
// path) of `folder`, which the caller commits:
//
// - parameters in one dtype, one tensor per expert; routing biases in F32;
// - the tensors of `source` that the model does not use, byte for byte (fp8 ones that have scales
//   are dequantised, because nothing reads a folder that mixes the two);
// - config.json of `source` for what was written: see ExportedConfig;
// - the tokenizer's and other small files of `source`, byte for byte.

// Weights from memory. `source` may be a folder without weights.
absl::Status SaveModel(FolderWriter& folder, const std::string& subfolder,
                       const std::string& source, const ModelConfig& config,
                       const ParameterLayout& layout, const Weights& weights,
                       const HfWriterOptions& options = {});

// Weights from `source` itself, a few megabytes at a time: the model need not fit into memory.
// INVALID_ARGUMENT also for weights that are not finite. With `adapter`, a folder in PEFT's layout,
// its matrices are added: W' = round(W + scale * B A), with the bits that rollout and learner
// compute with in this dtype (lora.h); then the adapter and one tensor at a time are in memory.
absl::Status ConvertModel(FolderWriter& folder, const std::string& subfolder,
                          const std::string& source, DType dtype,
                          const HfWriterOptions& options = {}, const std::string& adapter = "");

// `config_json` with its fields, and: the dtype in both spellings (torch_dtype of transformers 4,
// dtype of 5), the rotary embedding in both (rope_theta and rope_scaling, rope_parameters), no
// quantization_config. INVALID_ARGUMENT: no JSON object.
absl::StatusOr<std::string> ExportedConfig(absl::string_view config_json, DType dtype);

}  // namespace hone
