#include <regex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/telemetry/metrics.h"

namespace hone {
namespace {

absl::Status Broken(absl::string_view what, absl::string_view name, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat(what, " \"", name, "\": ", rule));
}
bool Matches(absl::string_view text, const std::regex& pattern) {
  return std::regex_match(text.begin(), text.end(), pattern);
}

}  // namespace

absl::Status CheckMetricName(MetricKind kind, absl::string_view name) {
  static const std::regex shape("(hone|grpc_server|grpc_client|process)(_[a-z0-9]+)+");
  // Base units only, so that no dashboard multiplies by a thousand.
  static const std::regex unit(
      ".*_(ms|msec|millis|milliseconds|us|usec|micros|microseconds|ns|nanos|nanoseconds|minutes|"
      "hours|"
      "sec|secs|kb|mb|gb|kib|mib|gib|kilobytes|megabytes|gigabytes|percent|perc|pct)(_total)?");
  if (!Matches(name, shape))
    return Broken("metric", name,
                  "a name is hone_ and words of [a-z0-9] joined by single underscores "
                  "(grpc_server_, grpc_client_ and process_ are for the names everybody uses)");
  if (Matches(name, unit))
    return Broken("metric", name, "units are seconds, bytes, ratio (0 to 1), spelled out");
  if ((kind == MetricKind::kCounter) != absl::EndsWith(name, "_total"))
    return Broken("metric", name, "counters end in _total and nothing else does");
  for (absl::string_view taken : {"_count", "_sum", "_bucket"})
    if (absl::EndsWith(name, taken))
      return Broken("metric", name, absl::StrCat(taken, " is added to histograms by Prometheus"));
  return absl::OkStatus();
}

absl::Status CheckLabelName(absl::string_view name) {
  static const std::regex shape("[a-z]+(_[a-z0-9]+)*");
  if (!Matches(name, shape))
    return Broken("label", name, "a name is words of [a-z0-9] joined by single underscores");
  for (absl::string_view taken : {"le", "quantile", "job", "instance", "namespace", "pod"})
    if (name == taken) return Broken("label", name, "Prometheus sets this label itself");
  for (absl::string_view unbounded :
       {"prompt_id", "trajectory_id", "request_id", "group_id", "user"})
    if (name == unbounded)
      return Broken("label", name, "its values are unbounded; they belong into logs");
  return absl::OkStatus();
}

}  // namespace hone
