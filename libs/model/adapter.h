#pragma once

// Adapters in the layout of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/checkpoint/folder_writer.h"
#include "libs/model/parameters.h"

namespace hone {

// What adapter_config.json asks for. INVALID_ARGUMENT, with path and field: no such JSON, or
// something that would change the model and is not implemented (DoRA, biases, rank or alpha
// patterns, regular expressions as targets, modules saved whole, ...). NOT_FOUND.
absl::StatusOr<LoraConfig> ReadAdapterConfig(const std::string& folder);

// Reads every adapter tensor of `layout`, whose LoraConfig is that of the folder, into `adapters`
// [layout.adapters_size()] in f32. INVALID_ARGUMENT: a tensor is missing, has another shape, holds NaN or infinity, or belongs to no adapter of this
// model.
absl::Status LoadAdapters(const std::string& folder, const ParameterLayout& layout,
                          ParameterArena& adapters);

// Writes both files into `subfolder` of `folder`, which the caller commits. `base` is where the
// frozen model is, for people and for PEFT.
absl::Status SaveAdapters(FolderWriter& folder, const std::string& subfolder,
                          const std::string& base, const ParameterLayout& layout,
                          const Weights& weights);

}  // namespace hone
