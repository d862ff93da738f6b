#pragma once

#include <cstdint>

#include "libs/model/activation_checkpointing.h"
#include "libs/model/config.h"
#include "libs/model/parameters.h"
#include "libs/tensor/matrix.h"

namespace hone {

// How a model is to be used, as far as its memory depends on it. Defaults are those of the
// services.
struct MemoryUse {
  DType dtype = DType::kF32;  // of weights, activations and cache
  // Rollout
  int64_t cache_tokens = 128 * 1024;  // rows of the key/value cache
  int64_t batch_tokens = 2048;        // of one forward pass
  int64_t sequences = 1024;           // sampled in one forward pass
  // Training
  int64_t micro_batch_tokens = 4096;  // packed tokens of one forward and backward pass
  int64_t scored_tokens = 4096;       // those of them that are predicted
  ActivationCheckpointing checkpointing = ActivationCheckpointing::kNone;
  bool reference = false;                         // a second copy of the weights for the KL term
  LoraConfig lora;                                // rank 0: the model itself is trained
  int64_t head_chunk_bytes = int64_t{256} << 20;  // logits kept at a time
};

// Bytes of one rollout worker's device.
struct RolloutMemory {
  double weights = 0;           // with merged copies of what has an adapter
  double incoming_weights = 0;  // the next version while it arrives
  double cache = 0;
  double activations = 0;  // of one forward pass, logits included
  double total() const { return weights + incoming_weights + cache + activations; }
};
RolloutMemory MemoryOfRollout(const ModelConfig& config, const MemoryUse& use);

// Bytes of one learner's device.
struct TrainingMemory {
  double weights = 0;
  double gradients = 0;  // f32
  double moments = 0;    // two, f32
  double masters = 0;    // f32 weights beside bf16 ones, and a bit each
  double reference = 0;
  double activations = 0;  // of one micro-batch: what backward needs, and backward's own
  double head = 0;         // logits of a chunk
  double total() const {
    return weights + gradients + moments + masters + reference + activations + head;
  }
  // Beside them, of the host: what workers fetch, a version and in bf16 the changes after it.
  double snapshot = 0;
};
TrainingMemory MemoryOfTraining(const ModelConfig& config, const MemoryUse& use);
// Bytes that a rollout worker adds to a learner whose process it shares: it reads the learner's
// weights, and a copy of them while it still generates under a version that the learner changes.
inline double ColocatedMemory(const RolloutMemory& rollout) {
  return rollout.total() - rollout.weights;
}

// Bytes of the key/value cache per token of a sequence, all layers.
double CacheBytesPerToken(const ModelConfig& config, DType dtype);
// Bytes of activations per token of a micro-batch: a constant part beside it is left out.
double ActivationBytesPerToken(const ModelConfig& config, DType dtype,
                               ActivationCheckpointing checkpointing = {});

}  // namespace hone
