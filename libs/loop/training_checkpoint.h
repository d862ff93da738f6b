#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/loop/model_folder.h"
#include "libs/model/transformer.h"
#include "libs/train/trainer.h"

namespace hone {

// Where in a run a checkpoint stands.
struct Position {
  std::string stage;       // the stage in progress, or the one that just ended
  int64_t stage_step = 0;  // its steps done
  int64_t step = 0;        // global
};

// Writes <dir>/step-<step>/: weights in Hugging Face layout with the model folder's own files
// beside them (hf/), or adapters in PEFT's layout (adapter/), and the training state (moments,
// masters, reference, position). It appears whole or not at all; then all but the newest `keep` are
// removed. Returns the path.
absl::StatusOr<std::string> SaveCheckpoint(const std::string& dir, int keep,
                                           const std::string& model_folder,
                                           const Transformer& transformer, Trainer& trainer,
                                           const Position& position);

// Restores a trainer to the bit. Frozen weights come from `model`, as at the start. DATA_LOSS names a damaged file; INVALID_ARGUMENT a checkpoint of
// another model.
absl::StatusOr<Position> LoadCheckpoint(const std::string& path, v1::ModelSpec model,
                                        const ModelFolder& folder, const Transformer& transformer,
                                        Trainer& trainer);

}  // namespace hone
