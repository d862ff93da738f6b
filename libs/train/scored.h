#pragma once

#include "libs/train/trainer.h"

namespace hone {

// The scored rows of a micro-batch, in its arena: one element per target.
struct Trainer::Scored {
  Matrix hidden;  // [N, D] of all rows
  Matrix rows;    // [M, D]
  float* logp;
  float* lse;
  float* entropy;
  float* coefficient;  // dL / dlogp, for the loss to fill
  float* dentropy;     // dL / dentropy, likewise; zero at first
};

// A completion on its way through a GRPO step.
struct Trainer::Sample {
  const v1::Group* group;
  const v1::Completion* completion;
  TrainSequence sequence;
  double advantage = 0;
  bool trained = true;  // false: it only counts among the sequences
  std::vector<double> logp_ref;
  PreparedSequence prepared;
};

}  // namespace hone
