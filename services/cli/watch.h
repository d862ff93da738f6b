#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/cli/context.h"

namespace hone::cli {

// Shows a run until it ends: a line every so many steps and each evaluation as it comes, on a
// terminal also one that is written over. Waits out restarts of the coordinator. Then a summary.
// The exit code says how the run ended; kExitInterrupted after Ctrl-C, with the run going on.
// `from_start`: also what happened before.
absl::StatusOr<int> WatchRun(Context& context, const std::string& run_id, bool from_start);

// Evaluations as a table.
void PrintEvaluations(Output& output,
                      const google::protobuf::RepeatedPtrField<v1::Evaluation>& evaluations);

}  // namespace hone::cli
