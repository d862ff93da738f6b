#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/reward/options.h"
#include "libs/reward/scorer.h"

namespace hone {

// `repetition`: 1 for a text that does not repeat itself, towards 0 for one that says the same
// again and again. The share r of n-grams that have occurred before, over all n-grams (option
// `ngram`, default 8 words); up to option `allowed` (default 0.1) costs nothing: 1 - max(0, r -
// allowed) / (1 - allowed). Words are runs of letters and digits without regard to ASCII case, cut
// after 16 bytes so that a word without end is many; every character outside ASCII counts as a
// word, for scripts without spaces; signs are words too. Fewer than `ngram` words: 1. Always
// SCORED; linear time and memory.
absl::StatusOr<std::unique_ptr<Scorer>> MakeRepetitionScorer(Options& options);

}  // namespace hone
