#pragma once

// What token losses are divided by. The divisor is that of the whole minibatch, over all
// micro-batches and ranks, so that a gradient does not depend on how the minibatch was cut: count,
// all-reduce the counts, then divide each token by the same number wherever it is evaluated.

#include <array>
#include <cstdint>
#include <span>

#include "proto/hone/v1/config.pb.h"

namespace hone {

// Sums over completions: adding the counts of two parts gives those of the whole. An array of
// doubles so that a collective can add it (exact below 2^53).
struct BatchCounts {
  enum Field { kTokens, kSequences, kSequencesWithTokens, kFields };
  std::array<double, kFields> sums{};

  // `tokens`: of one completion that count in the denominator; 0 if it is masked or empty.
  void AddSequence(int64_t tokens);
  void Add(const BatchCounts& other);
};

// Divisors of one minibatch. Immutable, thread-safe.
class Denominators {
 public:
  Denominators(v1::LossSpec::Aggregation aggregation, bool count_masked_sequences,
               int64_t max_new_tokens, const BatchCounts& global);

  // Weight of each token of a completion of which `tokens` count in the denominator; 0 when
  // empty().
  double TokenWeight(int64_t tokens) const;

  // No token of the minibatch is trained: skip the optimiser's step, moments and weight decay too.
  // Every rank sees the same, because the counts are global.
  bool empty() const { return inverse_ == 0; }

 private:
  double inverse_ = 0;
  bool per_sequence_mean_ = false;
};

}  // namespace hone
