#include "libs/model/config.h"

namespace hone {

double ModelConfig::ParameterCount(bool active) const {
  const auto d = static_cast<double>(hidden);
  const auto h = static_cast<double>(heads);
  double block = 2 * d;  // the two norms
  if (attention == Attention::kMla) {
    const auto q = h * static_cast<double>(nope_dim + rope_dim);
    const auto rank = static_cast<double>(q_lora_rank);
    block += q_lora_rank > 0 ? rank * (d + q + 1) : d * q;
    block += d * static_cast<double>(kv_lora_rank + rope_dim);
    block += static_cast<double>(kv_lora_rank) * (1 + h * static_cast<double>(nope_dim + v_dim));
  } else {
    const auto inputs = static_cast<double>((heads + 2 * kv_heads) * head_dim);
    block += d * inputs;
    if (input_bias) block += inputs;
    if (output_bias) block += d;
    if (qk_norm) block += static_cast<double>(2 * head_dim);
  }
  block += h * static_cast<double>(v_dim) * d;

  double total = block * static_cast<double>(layers);
  for (const bool is_sparse : sparse) {
    if (!is_sparse) {
      const auto width = static_cast<double>(dense_width);
      total += 3 * d * width + (mlp_bias ? 2 * width + d : 0);
      continue;
    }
    const auto experts = static_cast<double>(active ? moe.experts_per_token : moe.experts);
    total += d * static_cast<double>(moe.experts);
    total +=
        3 * d * (experts * static_cast<double>(moe.width) + static_cast<double>(moe.shared_width));
  }
  return total + d + (tied ? 1 : 2) * d * static_cast<double>(vocab);
}

namespace {
// Multiplications with weights, per token.
double WeightProducts(const ModelConfig& c) {
  double macs = 0;
  const auto d = static_cast<double>(c.hidden);
  const auto h = static_cast<double>(c.heads);
  if (c.attention == ModelConfig::Attention::kMla) {
    const auto q = h * static_cast<double>(c.nope_dim + c.rope_dim);
    macs += c.q_lora_rank > 0 ? static_cast<double>(c.q_lora_rank) * (d + q) : d * q;
    macs += d * static_cast<double>(c.kv_lora_rank + c.rope_dim);
    macs += h * static_cast<double>((c.nope_dim + c.v_dim) * c.kv_lora_rank);
    macs += h * static_cast<double>(c.v_dim) * d;
  } else {
    macs += d * static_cast<double>((2 * c.heads + 2 * c.kv_heads) * c.head_dim);
  }
  macs *= static_cast<double>(c.layers);
  for (bool is_sparse : c.sparse) {
    if (!is_sparse) {
      macs += 3 * d * static_cast<double>(c.dense_width);
      continue;
    }
    macs += d * static_cast<double>(c.moe.experts);
    macs += 3 * d * static_cast<double>(c.moe.experts_per_token * c.moe.width + c.moe.shared_width);
  }
  return macs + d * static_cast<double>(c.vocab);
}
}  // namespace

double ModelConfig::ForwardFlops(double context) const {
  const double pairs = context * static_cast<double>(heads * layers);
  return 2 * (WeightProducts(*this) + pairs * static_cast<double>(query_dim() + value_dim()));
}

double ModelConfig::TrainingFlops(double context) const {
  const double pairs = context * static_cast<double>(heads * layers);
  const int64_t d = attention == Attention::kMla ? nope_dim + rope_dim : head_dim;
  return ForwardFlops(context) +
         4 * (WeightProducts(*this) + pairs * static_cast<double>(d + v_dim));
}

}  // namespace hone
