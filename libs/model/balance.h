#pragma once

#include <cstdint>
#include <vector>

#include "libs/model/parameters.h"
#include "libs/model/transformer.h"

namespace hone {

// Load balance of a mixture of experts without distorting the main loss (DeepSeek-V3 2.1.2).

// The complementary sequence-wise loss of each sequence s: alpha * sum_i f_i P_i with
// f_i = E / (K T) * (tokens whose K best scores contain i), P_i = mean over tokens of score_i /
// sum_j score_j.
struct BalanceTerms {
  double loss = 0;  // summed over sequences
  std::vector<float>
      gradient;  // [S, E] dL / d(score_i / sum_j score_j) of each token: alpha f_i / T
  std::vector<int32_t> sequence_of;  // [N]
};
// scores [n, e]; sequences are rows [q_start[s], q_start[s + 1]).
BalanceTerms SequenceBalance(const float* scores, int64_t n, int64_t e, int64_t k,
                             const std::vector<int32_t>& q_start, double alpha);

// The auxiliary-loss-free rule, once per optimiser step: bias_i += rate * sign(mean load - load_i),
// per layer. Layers without load are left alone.
void UpdateRoutingBiases(const ParameterLayout& layout, const ExpertLoad& load, double rate,
                         Weights& weights);

// Greatest load over mean load, minus 1, over all layers; 0 without any load.
double MaxViolation(const ExpertLoad& load);

// All zeros, shaped for a model.
ExpertLoad NewExpertLoad(const ModelConfig& config);

}  // namespace hone
