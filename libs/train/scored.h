#pragma once

#include "libs/ops/head.h"
#include "libs/train/trainer.h"

namespace hone {

// The scored rows of a micro-batch, in device memory: one element per target.
struct Trainer::Scored {
  Matrix hidden;  // [N, D] of all rows
  Matrix rows;    // [M, D]
  const int32_t* scored_rows;
  const int32_t* targets;
  const float* inv_temperature;
  float* logp;
  float* lse;
  float* entropy;
  float* coefficient;  // dL / dlogp
  float* dentropy;     // dL / dentropy

  ops::HeadRows head() const {
    return {.hidden = rows,
            .targets = targets,
            .inv_temperature = inv_temperature,
            .logp = logp,
            .lse = lse,
            .entropy = entropy};
  }
};

// What a loss sees of them on the host.
struct Trainer::ForLoss {
  std::vector<float> logp, entropy;
  std::vector<float> coefficient, dentropy;  // to be filled; zero at first
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
