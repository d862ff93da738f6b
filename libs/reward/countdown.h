#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/reward/options.h"
#include "libs/reward/scorer.h"

namespace hone {

// `countdown`: the answer is an arithmetic expression that uses each of the prompt's numbers
// exactly once and has the prompt's target as its value: 1, else 0.
//
// prompt.metadata: `numbers`, a list of 1 to 64 integers in [0, 1e9], and `target`, an integer of
// magnitude up to 1e15; anything else is OUTCOME_BAD_REFERENCE. Options: `operators`, a non-empty
// subset of "+-*/" (default: all); `require_format`, "none" (default), "r1_zero" or "think": a
// completion of another shape, or cut off, gets 0. With "none", the answer is what the last
// <answer>...</answer> after the thoughts holds; with "think" too. UNPARSED (value 0): no answer,
// or not in the required shape. SCORED 0: not an expression, other numbers, another value.
// OUTCOME_BUDGET: longer, deeper or with larger intermediate values than expression.h allows.
absl::StatusOr<std::unique_ptr<Scorer>> MakeCountdownScorer(Options& options);

}  // namespace hone
