#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/reward/options.h"
#include "libs/reward/scorer.h"

namespace hone {

// 1 when the completion contains the text of option `text` (required; ASCII case is ignored), else
// 0: the simplest verifiable reward, for trying out a checkpoint.
absl::StatusOr<std::unique_ptr<Scorer>> MakeContainsScorer(Options& options);

}  // namespace hone
