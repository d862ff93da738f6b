#pragma once

#include <cstdint>
#include <functional>

#include "libs/tensor/arena.h"
#include "libs/tensor/device.h"
#include "libs/tensor/matrix.h"

namespace hone::ops {

// What logits are multiplied by: 1 / temperature, where 0 (unset) means 1. The engine and the
// learner both take it from here, since their logprobs must be the same bits.
inline float InverseTemperature(float temperature) {
  return temperature > 0 ? 1 / temperature : 1;
}

// Rows whose next token is scored, and where the results go. Arrays have one element per row.
struct HeadRows {
  Matrix hidden;           // [M, D] after the final norm, packed
  const int32_t* targets;  // in [0, vocab)
  const float* inv_temperature;
  float* logp;  // natural log of the target's probability at the row's temperature
  float* lse;
  float* entropy;  // nats
};

// Never keeps [M, V]: the logits of at most `max_rows` rows are there at a time. How rows are
// divided changes no bit of a row. `vocab`: ids from there on have no probability (padding rows of
// the embedding).

// Logprobs and entropies of all rows.  head [V, D].
void HeadLogprob(const Device& on, Arena& arena, const HeadRows& rows, const Matrix& head,
                 int64_t vocab, int64_t max_rows);

// The same, and the gradient: after all logprobs and entropies are written, `loss()` must have
// filled coef and dentropy (dL/dlogp, dL/dentropy; dentropy may be null). Logits of more than
// max_rows rows are then computed again. dhidden [M, D] is overwritten, dhead (f32) added to.
void HeadLogprobBackward(const Device& on, Arena& arena, const HeadRows& rows, const Matrix& head,
                         int64_t vocab, int64_t max_rows, const float* coef, const float* dentropy,
                         const std::function<void()>& loss, const Matrix& dhidden,
                         const Matrix& dhead);

}  // namespace hone::ops
