#pragma once

#include <vector>

#include "libs/buffer/buffer.h"
#include "libs/telemetry/metrics.h"
#include "services/coordinator/long_polls.h"

namespace hone {

// Shows the state of `buffer` and `polls` as hone_coordinator_* for as long as what is returned
// lives. Series with a `run` exist while the run does. All three outlive the result.
std::vector<Metrics::Callback> ExportCoordinator(Metrics& metrics, const Buffer& buffer,
                                                 const LongPolls& polls);

}  // namespace hone
