#pragma once

// What people see of many verdicts.

#include <vector>

#include "proto/hone/v1/reward.pb.h"
#include "services/cli/completion_file.h"
#include "services/cli/output.h"

namespace hone::cli {

struct ReportOptions {
  bool only_failures = false;  // list those that are not correct, or disagree with their label
  bool summary = false;        // list nothing
};

// verdicts[i] is of completions[i]. Sums over all, whatever is listed.
v1::ScoreReport MakeReport(const std::vector<FileCompletion>& completions,
                           const std::vector<v1::Verdict>& verdicts, const ReportOptions& options);

// What became of a completion in one word: the verdict's outcome or, where it has a score, that of
// the primary scorer, which may have found no answer.
v1::Outcome ShownOutcome(const v1::Verdict& verdict);

// A row for each listed completion, then what each scorer said, then a line on all of them.
void PrintReport(Output& output, const v1::ScoreReport& report);

// The scorers with their options.
void PrintScorers(Output& output, const v1::ListScorersResponse& scorers);

}  // namespace hone::cli
