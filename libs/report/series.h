#pragma once

// A metric over the steps of a run.

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/report/report.h"

namespace hone {

struct Point {
  int64_t step = 0;
  double value = 0;  // not finite: was measured, and was not a number
};

// The value of a metric, or of one that follows from others: `generated_tokens_per_second`,
// `other_seconds` (of a step: neither training nor waiting for the batch). False when the step
// lacks it.
bool ValueOf(const v1::StepMetrics& m, absl::string_view name, double& value);

std::vector<Point> Collect(const std::vector<v1::StepMetrics>& steps, absl::string_view name);

// At most `limit` points (>= 4), order kept: the first and the last of the series, the least and
// the largest value of each stretch, and one point that is not finite of each stretch that has one.
std::vector<Point> Downsample(const std::vector<Point>& points, size_t limit);

// Mean over the 2 * half + 1 neighbours that exist, leaving out those that are not finite and those
// beyond a step in `breaks` (ascending last steps of stages).
std::vector<Point> RunningMean(const std::vector<Point>& points, int half,
                               const std::vector<int64_t>& breaks);

// Of finite values; NaN when there are none.
double Median(std::vector<double> values);

}  // namespace hone
