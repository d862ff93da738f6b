#pragma once

#include "libs/model/transformer.h"

namespace hone {

// What every block of one forward or backward pass works with. Private to the transformer's files.
struct Transformer::Pass {
  const Device& on;
  Arena& arena;
  const Weights& weights;
  const Batch& batch;
  const Batch::OnDevice arrays;  // of the batch
  KvCache* cache = nullptr;  // inference
  bool keep = false;         // training: keep what backward needs
  int32_t* offsets = nullptr;           // training: SavedForward::offsets
  ParameterArena* gradients = nullptr;  // backward
  // Backward with adapters: the gradients of the present layer's part of the merged arena, and where
  // that part begins.
  float* dmerged = nullptr;
  int64_t merged_begin = 0;
  double balance_alpha = 0;

  // A training pass that keeps what backward needs: forward itself, or what is computed again.
  static Pass Keeping(const Device& on, Arena& arena, const Weights& weights, const Batch& batch,
                      const SavedForward& saved) {
    return {.on = on,
            .arena = arena,
            .weights = weights,
            .batch = batch,
            .arrays = saved.arrays,
            .keep = true,
            .offsets = saved.offsets};
  }

  int64_t tokens() const { return batch.tokens(); }
  DType dtype() const { return weights.parameters.dtype(); }
  Matrix Weight(const ParameterLayout::Span& s) const { return weights.View(s); }
  // Empty for what is frozen.
  Matrix Gradient(const ParameterLayout::Span& s) const {
    if (weights.adapters.size() == 0) return gradients->View(s);
    if (s.merged < 0 || dmerged == nullptr) return {};
    return {dmerged + (s.merged - merged_begin), s.rows, s.cols, s.cols, DType::kF32};
  }
  // Empty when the layer has no such bias.
  Matrix Bias(const ParameterLayout::Span& s) const { return s.offset < 0 ? Matrix{} : Weight(s); }
  Matrix BiasGradient(const ParameterLayout::Span& s) const {
    return s.offset < 0 ? Matrix{} : Gradient(s);
  }
  Matrix New(int64_t cols) const { return arena.NewMatrix(tokens(), cols, dtype()); }
  // Kept only in training.
  float* NewRstd(int64_t heads = 1) const {
    return keep ? arena.NewArray<float>(tokens() * heads) : nullptr;
  }
};

}  // namespace hone
