#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/checkpoint/hf_reader.h"
#include "libs/model/parameters.h"

namespace hone {

// config.json of a Hugging Face folder. NOT_FOUND or INVALID_ARGUMENT with the path.
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& folder);

// Reads every parameter and routing bias by name, straight into its place, and converts it to the
// dtype of `weights`; beside `weights` it takes a few megabytes. INVALID_ARGUMENT: see MapTensors;
// or a tensor holds NaN or infinity. A tied model's redundant head must equal the embedding.
absl::Status LoadWeights(const HfReader& reader, const ModelConfig& config,
                         const ParameterLayout& layout, Weights& weights);

}  // namespace hone
