#pragma once

#include "proto/hone/v1/config.pb.h"

namespace hone {

// Replaces every zero that config.proto and trajectory.proto document as "0 means ..." (or an
// enum's UNSPECIFIED) by its meaning, in all stages, evaluations and rewards. Idempotent. What
// depends on the model (max_context) stays 0. Call Validate before: nonsense stays nonsense.
//
// Beyond the words of the .proto: "half of group_size" is rounded down.
void ApplyDefaults(v1::RunSpec& spec);
void ApplyDefaults(v1::SamplingParams& sampling);

}  // namespace hone
