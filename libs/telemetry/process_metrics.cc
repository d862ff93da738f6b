#include "libs/telemetry/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/telemetry/version.h"

namespace hone {
namespace {

// Field `index` of /proc/self/stat, numbered from 1 as in proc(5); 4 <= index.
std::optional<double> StatField(size_t index) {
  const absl::StatusOr<std::string> stat = ReadFile("/proc/self/stat", 1 << 16);
  if (!stat.ok()) return std::nullopt;
  // The second field is the program's name in parentheses and may itself hold spaces and
  // parentheses.
  const size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields =
      absl::StrSplit(absl::string_view(*stat).substr(name_end + 1), ' ', absl::SkipWhitespace());
  double value = 0;
  if (fields.size() <= index - 3 || !absl::SimpleAtod(fields[index - 3], &value))
    return std::nullopt;
  return value;
}

std::optional<double> CpuSeconds() {
  const std::optional<double> user = StatField(14), system = StatField(15);
  if (!user || !system) return std::nullopt;
  return (*user + *system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}
std::optional<double> ResidentBytes() {
  const std::optional<double> pages = StatField(24);
  if (!pages) return std::nullopt;
  return *pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}
std::optional<double> OpenFds() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator fd("/proc/self/fd", error), end; !error && fd != end;
       fd.increment(error))
    ++count;
  if (error) return std::nullopt;
  return count - 1;  // Without the one that lists them.
}
std::optional<double> MaxFds() {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}
std::optional<double> StartTimeSeconds() {
  const std::optional<double> ticks = StatField(22);  // After boot.
  const absl::StatusOr<std::string> stat = ReadFile("/proc/stat", 1 << 24);
  if (!ticks || !stat.ok()) return std::nullopt;
  const size_t line = stat->find("\nbtime ");
  double boot = 0;
  if (line == std::string::npos ||
      !absl::SimpleAtod(
          absl::string_view(*stat).substr(line + 7, stat->find('\n', line + 1) - line - 7), &boot))
    return std::nullopt;
  return boot + *ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Metrics::Source Optional(std::optional<double> (*read)()) {
  return [read] {
    std::vector<Metrics::Sample> samples;
    if (const std::optional<double> value = read()) samples.push_back({Labels(), *value});
    return samples;
  };
}

}  // namespace

std::vector<Metrics::Callback> ExportProcessMetrics(Metrics& metrics) {
  std::vector<Metrics::Callback> all;
  all.push_back(metrics.AddCallback(MetricKind::kCounter, "process_cpu_seconds_total",
                                    "User and system CPU time spent.", Optional(&CpuSeconds)));
  const auto gauge = [&](const char* name, const char* help, std::optional<double> (*read)()) {
    all.push_back(metrics.AddCallback(MetricKind::kGauge, name, help, Optional(read)));
  };
  gauge("process_resident_memory_bytes", "Resident memory.", &ResidentBytes);
  gauge("process_virtual_memory_bytes", "Virtual memory.", [] { return StatField(23); });
  gauge("process_open_fds", "Open file descriptors.", &OpenFds);
  gauge("process_max_fds", "Most file descriptors that may be open.", &MaxFds);
  gauge("process_threads", "Threads.", [] { return StatField(20); });
  gauge("process_start_time_seconds", "Start time since 1970.", &StartTimeSeconds);
  all.push_back(metrics.AddCallback(
      MetricKind::kGauge, "hone_build_info", "Constant 1; which build this is.",
      Metrics::Source([] {
        const BuildVersion& v = Version();
        return std::vector<Metrics::Sample>{
            {{{"version", v.version}, {"commit", v.commit}, {"build_type", v.build_type}}, 1}};
      })));
  return all;
}

}  // namespace hone
