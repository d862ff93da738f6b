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

double ModelConfig::ForwardFlops(double context) const {
  double macs = 0;
  const auto d = static_cast<double>(hidden);
  const auto h = static_cast<double>(heads);
  if (attention == Attention::kMla) {
    const auto q = h * static_cast<double>(nope_dim + rope_dim);
    macs += q_lora_rank > 0 ? static_cast<double>(q_lora_rank) * (d + q) : d * q;
    macs += d * static_cast<double>(kv_lora_rank + rope_dim);
    macs += h * static_cast<double>((nope_dim + v_dim) * kv_lora_rank);
    macs += h * static_cast<double>(v_dim) * d;
  } else {
    macs += d * static_cast<double>((2 * heads + 2 * kv_heads) * head_dim);
  }
  macs += h * context * static_cast<double>(query_dim() + value_dim());
  macs *= static_cast<double>(layers);
  for (bool is_sparse : sparse) {
    if (!is_sparse) {
      macs += 3 * d * static_cast<double>(dense_width);
      continue;
    }
    macs += d * static_cast<double>(moe.experts);
    macs += 3 * d * static_cast<double>(moe.experts_per_token * moe.width + moe.shared_width);
  }
  macs += d * static_cast<double>(vocab);
  return 2 * macs;
}

}  // namespace hone
