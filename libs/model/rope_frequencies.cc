#include <algorithm>
#include <cmath>

#include "libs/model/config.h"

namespace hone {
namespace {
constexpr double kPi = 3.14159265358979323846;

double Mscale(double factor, double m) {
  return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1;
}
}  // namespace

// The formulas of transformers' modeling_rope_utils, as listed in models.md 1.7.
RopeFrequencies ComputeRopeFrequencies(const ModelConfig& config) {
  const ModelConfig::Rope& rope = config.rope;
  const int64_t pairs = config.rope_dim / 2;
  const double d = static_cast<double>(config.rope_dim);
  RopeFrequencies out;
  for (int64_t j = 0; j < pairs; ++j)
    out.inv_freq.push_back(std::pow(rope.theta, -2.0 * static_cast<double>(j) / d));

  switch (rope.kind) {
    case ModelConfig::Rope::Kind::kDefault:
      break;
    case ModelConfig::Rope::Kind::kLinear:
      for (double& f : out.inv_freq) f /= rope.factor;
      break;
    case ModelConfig::Rope::Kind::kLlama3: {
      const double original = static_cast<double>(rope.original_positions);
      for (double& f : out.inv_freq) {
        const double wavelength = 2 * kPi / f;
        if (wavelength > original / rope.low_freq_factor) {
          f /= rope.factor;
        } else if (wavelength >= original / rope.high_freq_factor) {
          const double smooth = (original / wavelength - rope.low_freq_factor) /
                                (rope.high_freq_factor - rope.low_freq_factor);
          f = (1 - smooth) * f / rope.factor + smooth * f;
        }
      }
      break;
    }
    case ModelConfig::Rope::Kind::kYarn: {
      const double original = static_cast<double>(rope.original_positions);
      // The pair that turns `rotations` times over the original context.
      const auto pair_of = [&](double rotations) {
        return d * std::log(original / (rotations * 2 * kPi)) / (2 * std::log(rope.theta));
      };
      double low = pair_of(rope.beta_fast);
      double high = pair_of(rope.beta_slow);
      if (rope.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
      }
      low = std::max(low, 0.0);
      high = std::min(high, d - 1);
      if (low == high) high += 0.001;
      for (int64_t j = 0; j < pairs; ++j) {
        const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
        double& f = out.inv_freq[static_cast<size_t>(j)];
        f = f / rope.factor * ramp + f * (1 - ramp);
      }
      if (rope.attention_factor != 0) {
        out.attention_factor = rope.attention_factor;
      } else if (rope.mscale != 0 && rope.mscale_all_dim != 0) {
        out.attention_factor =
            Mscale(rope.factor, rope.mscale) / Mscale(rope.factor, rope.mscale_all_dim);
      } else {
        out.attention_factor = Mscale(rope.factor, 1);
      }
      break;
    }
  }
  return out;
}

double ModelConfig::softmax_scale() const {
  if (attention == Attention::kGqa) return 1 / std::sqrt(static_cast<double>(head_dim));
  const double scale = 1 / std::sqrt(static_cast<double>(nope_dim + rope_dim));
  const bool scaled = rope.kind != Rope::Kind::kDefault && rope.mscale_all_dim != 0;
  const double m = scaled ? Mscale(rope.factor, rope.mscale_all_dim) : 1;
  return scale * m * m;
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
