#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/reward/options.h"
#include "libs/reward/scorer.h"

namespace hone {

// `length`: 1 for a completion of a wanted length, less for others. Exactly one of two options says
// what is wanted; lengths are in `unit`: "tokens" (default; needs ScoreItem.completion_tokens, else
// BAD_REFERENCE), "characters" (code points) or "words" (between white space).
//
// `max`: 1 up to max - buffer, falling linearly to 0 at max, 0 beyond. That is 1 + DAPO's soft
// overlong punishment with L_max = `max` and L_cache = `buffer` (default 0: a step); with weight 1
// the group's advantages are those of DAPO, since a constant falls out of them. `target`: 1 -
// |length - target| / tolerance, at least 0; `tolerance` defaults to `target`.
absl::StatusOr<std::unique_ptr<Scorer>> MakeLengthScorer(Options& options);

}  // namespace hone
