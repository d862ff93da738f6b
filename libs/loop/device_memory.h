#pragma once

#include "absl/status/status.h"
#include "libs/loop/model_folder.h"
#include "libs/model/memory.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// What a learner does to a run's model, as far as its memory depends on it: micro-batches as large
// as the stages of `spec` say, all tokens scored. A longer sequence, which makes a micro-batch of
// its own, is not in it.
MemoryUse TrainingUse(const v1::RunSpec& spec);

// Whether what is going to be allocated has room, so that a model that is too large for its device
// is a run that failed and says why. RESOURCE_EXHAUSTED, with both numbers and the settings that
// would help. Where a backend does not know how much memory there is, there always is.
absl::Status CheckTrainingMemory(const v1::RunSpec& spec, const ModelFolder& folder);
// `use`: cache and batches of the engine. `lent`: the weights are those of a learner in this
// process.
absl::Status CheckRolloutMemory(const ModelFolder& folder, MemoryUse use, bool lent);

}  // namespace hone
