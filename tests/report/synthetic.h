#pragma once

#include "libs/report/report.h"

namespace hone::testing {

// A run with a supervised stage of `sft_steps` and a GRPO stage of `grpo_steps`, with every metric,
// two evaluations, time ledgers and sampled groups. Numbers are made up but look like those of a
// small model.
ReportData SyntheticRun(int sft_steps, int grpo_steps);

}  // namespace hone::testing
