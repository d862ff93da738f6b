#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/reward/options.h"
#include "libs/reward/scorer.h"

namespace hone {

// `math`: the completion's final answer (math/extract.h) equals prompt.answer (math/value.h): 1,
// else 0. Only what follows </think> is read. The reference may be a bare answer or a solution that
// ends in one (boxed, ####). Options: `require_format`, "none" (default), "r1_zero" or "think": a
// completion of another shape, or cut off, gets 0. UNPARSED (value 0): no answer found, thoughts
// that do not end, wrong shape. OUTCOME_BAD_REFERENCE: prompt.answer is blank or too long.
// OUTCOME_BUDGET: an answer of more than math::kMaxAnswerBytes.
absl::StatusOr<std::unique_ptr<Scorer>> MakeMathScorer(Options& options);

}  // namespace hone
