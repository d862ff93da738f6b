#pragma once

#include <cstdint>
#include <vector>

#include "libs/model/parameters.h"
#include "libs/model/transformer.h"

namespace hone {

// Load balance of a mixture of experts without distorting the main loss (DeepSeek-V3 2.1.2). The
// complementary sequence-wise loss is kernels::SequenceBalanceArgs.

// The auxiliary-loss-free rule, once per optimiser step: bias_i += rate * sign(mean load - load_i),
// per layer, on the device's stream. Layers without load are left alone.
void UpdateRoutingBiases(const Device& on, Arena& arena, const ParameterLayout& layout,
                         const ExpertLoad& load, double rate, Weights& weights);

// Greatest load over mean load, minus 1, over all layers; 0 without any load.
double MaxViolation(const ExpertLoad& load);

// All zeros, shaped for a model.
ExpertLoad NewExpertLoad(const ModelConfig& config);

}  // namespace hone
