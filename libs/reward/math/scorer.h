#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/reward/options.h"
#include "libs/reward/scorer.h"

namespace hone {

// `math`: the completion's final answer (math/extract.h) equals prompt.answer (math/compare.h): 1,
// else 0. Only what follows </think> is read. The reference may be a bare answer or a solution that
// ends in one (boxed, ####). The reason says how equality was found, or what is different.
//
// Options, the first value being the default (math/compare.h says what they mean):
//   require_format      none, r1_zero, think: a completion of another shape, or cut off, gets 0
//   boxes               last, join, agree: which of several boxes count
//   percent             number, fraction, strict
//   units               lenient, ignore, strict
//   approximation       exact, relative, reference_decimals
//   relative_tolerance  1e-6; for approximation: relative; above 0, at most 0.1
//
// UNPARSED (value 0): no answer found or understood, thoughts that do not end, wrong shape, boxes
// that disagree. OUTCOME_BAD_REFERENCE: prompt.answer is blank, too long, or not understood and
// spelt otherwise than the answer. OUTCOME_BUDGET: an answer of more than math::kMaxAnswerBytes, or
// one that takes too many steps to compare.
absl::StatusOr<std::unique_ptr<Scorer>> MakeMathScorer(Options& options);

}  // namespace hone
