#pragma once

#include <string>

#include "libs/report/report.h"

namespace hone {

// The page's head: name, state, what it ran on.
std::string RenderMasthead(const ReportData& data);
// The numbers that one looks for first. Both want `data.steps` and `data.evaluations` ascending.
std::string RenderKeyFigures(const ReportData& data);
// Every evaluation with all its numbers; empty when there was none.
std::string RenderEvaluations(const ReportData& data);

}  // namespace hone
