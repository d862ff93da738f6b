#pragma once

#include <string>

#include "libs/report/report.h"

namespace hone {

struct Panels {
  std::string html;
  std::string json;  // array for the read-out script
};

// All curves of the run. `data.steps` and `data.evaluations` must be ascending.
Panels RenderPanels(const ReportData& data);

}  // namespace hone
