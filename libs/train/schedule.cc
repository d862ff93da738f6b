#include "libs/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"

namespace hone {

using v1::OptimizerSpec;

absl::Status CheckSchedule(const OptimizerSpec& spec) {
  if (!std::isfinite(spec.learning_rate()) || spec.learning_rate() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer.learning_rate: ", spec.learning_rate(), "; expected a finite number >= 0"));
  }
  if (spec.warmup_steps() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.warmup_steps: ", spec.warmup_steps(), "; expected >= 0"));
  }
  if (!(spec.final_ratio() >= 0 && spec.final_ratio() <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.final_ratio: ", spec.final_ratio(), "; expected 0 to 1"));
  }
  if (!OptimizerSpec::Schedule_IsValid(spec.schedule())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer.schedule: ", static_cast<int>(spec.schedule()), "; expected a known schedule"));
  }
  return absl::OkStatus();
}

double LearningRate(const OptimizerSpec& spec, int64_t step, int64_t total_steps) {
  const double peak = spec.learning_rate();
  const int64_t warmup = spec.warmup_steps();
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double decay_steps = static_cast<double>(std::max<int64_t>(total_steps - warmup, 1));
  const double progress = std::clamp(static_cast<double>(step - warmup) / decay_steps, 0.0, 1.0);
  double remaining = 1;  // 1 at the peak, 0 at the end
  switch (spec.schedule()) {
    case OptimizerSpec::SCHEDULE_LINEAR:
      remaining = 1 - progress;
      break;
    case OptimizerSpec::SCHEDULE_COSINE:
      remaining = 0.5 * (1 + std::cos(std::numbers::pi * progress));
      break;
    default:
      return peak;
  }
  return peak * (spec.final_ratio() + (1 - spec.final_ratio()) * remaining);
}

}  // namespace hone
