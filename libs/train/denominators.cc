#include "libs/train/denominators.h"

#include <algorithm>

#include "libs/base/check.h"

namespace hone {

using v1::LossSpec;

void BatchCounts::AddSequence(int64_t tokens) {
  sums[kTokens] += static_cast<double>(tokens);
  sums[kSequences] += 1;
  sums[kSequencesWithTokens] += tokens > 0;
}

void BatchCounts::Add(const BatchCounts& other) {
  for (int i = 0; i < kFields; ++i) sums[i] += other.sums[i];
}

Denominators::Denominators(LossSpec::Aggregation aggregation, bool count_masked_sequences,
                           int64_t max_new_tokens, const BatchCounts& global) {
  if (global.sums[BatchCounts::kTokens] <= 0) return;
  double divisor = 1;
  switch (aggregation) {
    case LossSpec::AGGREGATION_SEQ_MEAN_TOKEN_MEAN:
      per_sequence_mean_ = true;
      [[fallthrough]];
    case LossSpec::AGGREGATION_SEQ_MEAN_TOKEN_SUM:
      divisor = global.sums[count_masked_sequences ? BatchCounts::kSequences
                                                   : BatchCounts::kSequencesWithTokens];
      break;
    case LossSpec::AGGREGATION_CONST_NORM:
      HONE_CHECK(max_new_tokens > 0) << max_new_tokens;
      divisor = global.sums[BatchCounts::kSequences] * static_cast<double>(max_new_tokens);
      break;
    case LossSpec::AGGREGATION_TOKEN_SUM:
      break;
    default:
      divisor = global.sums[BatchCounts::kTokens];
  }
  inverse_ = 1 / divisor;
}

double Denominators::TokenWeight(int64_t tokens) const {
  return per_sequence_mean_ ? inverse_ / static_cast<double>(std::max<int64_t>(tokens, 1))
                            : inverse_;
}

}  // namespace hone
