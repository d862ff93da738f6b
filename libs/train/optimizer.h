#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libs/model/parameters.h"
#include "libs/model/weight_changes.h"
#include "libs/tensor/arena.h"
#include "libs/tensor/device.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// AdamW (Loshchilov & Hutter) for all parameters, or Muon for the matrices inside blocks and AdamW
// for the rest. Muon: Nesterov momentum, five Newton-Schulz steps with coefficients (3.4445,
// -4.7750, 2.0315), update scaled by 0.2 sqrt(max(rows, cols)) so that it shares AdamW's learning
// rate (Moonlight, arXiv 2502.16982). gate and up, and each expert, are matrices of their own.
//
// Holds f32 moments and, when the weights are bf16, f32 master weights and marks of what changes,
// in flat arenas. Not thread-safe.
class Optimizer {
 public:
  // Of layout.trained(). `layout` must outlive this. Master weights start as `weights`. All methods
  // that take a device leave their work on its stream.
  Optimizer(const Device& on, const ParameterLayout& layout, const Weights& weights);

  // Starts afresh for a stage: zero moments, step 0. Masters are kept.
  void Reset(const Device& on);
  // One update. Gradients are left as they are. Returns their global L2 norm before clipping; when
  // it is not finite nothing is changed.
  double Step(const Device& on, Arena& arena, const v1::OptimizerSpec& spec, double learning_rate,
              const ParameterArena& gradients, Weights& weights);
  int64_t steps() const { return steps_; }

  // The arenas by name ("m", "v", "master"), for checkpoints.
  struct Named {
    std::string name;
    ParameterArena* arena;
  };
  std::vector<Named> State();
  void RestoreSteps(int64_t steps) { steps_ = steps; }
  // Master weights, f32: the weights themselves in f32.
  const float* Master(const Weights& weights) const;
  // What Step changes in bf16 weights; null in f32, where it is everything.
  WeightChanges* changes() { return changes_ ? &*changes_ : nullptr; }

 private:
  void AdamW(const Device& on, const v1::OptimizerSpec& spec, double learning_rate, double scale,
             const ParameterArena& gradients, int64_t begin, int64_t end, bool decay, float* master,
             Weights& weights);
  void Muon(const Device& on, Arena& arena, const v1::OptimizerSpec& spec, double learning_rate,
            double scale, const ParameterArena& gradients, int64_t offset, int64_t rows,
            int64_t cols, int64_t count, float* master);

  const ParameterLayout& layout_;
  ParameterArena m_;
  ParameterArena v_;
  ParameterArena master_;  // empty in f32
  std::optional<WeightChanges> changes_;
  int64_t steps_ = 0;
};

}  // namespace hone
