#pragma once

#include <string>

#include "libs/report/report.h"

namespace hone {

// Where every second of every process went: one bar for each, states in the same colours
// throughout.
std::string RenderLedgers(const ReportData& data);

}  // namespace hone
