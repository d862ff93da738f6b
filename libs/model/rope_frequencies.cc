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

}  // namespace hone
