#pragma once

// What Prometheus users expect of every process and prometheus-cpp does not export: the process_*
// family, read from /proc when scraped, and hone_build_info.

#include <vector>

#include "libs/telemetry/metrics.h"

namespace hone {

// process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes,
// process_open_fds, process_max_fds, process_threads, process_start_time_seconds, and
// hone_build_info{version,commit} = 1. Values that /proc does not give are left out. Once per
// Metrics; they last as long as the result.
[[nodiscard]] std::vector<Metrics::Callback> ExportProcessMetrics(Metrics& metrics);

}  // namespace hone
