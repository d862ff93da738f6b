#pragma once

// Learning rate as a function of the step: no state, so that a resumed run continues exactly.

#include <cstdint>

#include "absl/status/status.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// kInvalidArgument: negative or non-finite rate, negative warm-up, final_ratio outside [0, 1].
absl::Status CheckSchedule(const v1::OptimizerSpec& spec);

// Rate of optimiser step `step` (0 is the stage's first) of `total_steps` in the stage.
// Warm-up is linear: (step + 1) / warmup_steps of the peak, so that no step is wasted at 0. Linear
// and cosine then fall from the peak to final_ratio * peak, which the step after the last one would
// have.
double LearningRate(const v1::OptimizerSpec& spec, int64_t step, int64_t total_steps);

}  // namespace hone
