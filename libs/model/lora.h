#pragma once

// Low-rank adaptation (Hu et al., arXiv 2106.09685): y = W x + scale * B (A x), with W frozen.
//
// One way of computing it, whoever computes: W' = round(W + scale * B A), summed in f32, and then
// the model's own forward pass with W'. So rollout and learner have the same bits by construction,
// for every architecture, and decoding costs what it costs without an adapter. W' is made from the
// pristine W each time, never incrementally, so that small updates are not lost in rounding.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/model/config.h"
#include "libs/model/parameters.h"
#include "libs/tensor/arena.h"
#include "libs/tensor/device.h"

namespace hone {

// INVALID_ARGUMENT: a target that is no linear module of the layers of this model, by name, or a
// rank or alpha that is not positive.
absl::Status CheckLora(const LoraConfig& lora, const ModelConfig& config);

// A uniform in +-1/sqrt(columns) (Kaiming with a = sqrt 5, as PEFT), B zero: W' = W. Each tensor
// has its own random stream keyed by (seed, name).
void InitializeAdapters(const ParameterLayout& layout, uint64_t seed, Weights& weights);

// One tensor: merged = round(merged + scale * B A), with A [rank, in] and B [out, rank] in f32.
void MergeAdapter(const Device& on, Arena& arena, double scale, const Matrix& a, const Matrix& b,
                  const Matrix& merged);

// Makes W' anew after W, A or B changed, on the device's stream. Nothing to do for a layout without
// adapters.
void MergeAdapters(const Device& on, Arena& arena, const ParameterLayout& layout, Weights& weights);

// Adds the gradients of layer `layer`'s A and B to `gradients` (f32, layout.trained()), given those
// of its W': dB += scale * dW' A^T, dA += scale * B^T dW'. `dmerged` holds the layer's part of the
// merged arena, [layer.merged_size] in f32.
void AdapterBackward(const Device& on, Arena& arena, const ParameterLayout& layout, int64_t layer,
                     const Weights& weights, float* dmerged, ParameterArena& gradients);

}  // namespace hone
