#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/reward/options.h"
#include "libs/reward/scorer.h"

namespace hone {

// `format`: 1 when the completion has the shape of option `template` ("r1_zero", the default, or
// "think"; see template.h), else 0. With option `newlines` "strict" each tag must also stand on a
// line of its own; "any" (default) does not look. Special tokens at the completion's ends are left
// out first. A completion that was cut off has 0. Always SCORED.
absl::StatusOr<std::unique_ptr<Scorer>> MakeFormatScorer(Options& options);

}  // namespace hone
