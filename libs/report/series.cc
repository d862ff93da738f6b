#include "libs/report/series.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace hone {
namespace {

bool Find(const v1::StepMetrics& m, const char* name, double& value) {
  const auto it = m.values().find(name);
  if (it == m.values().end()) return false;
  value = it->second;
  return true;
}

}  // namespace

bool ValueOf(const v1::StepMetrics& m, absl::string_view name, double& value) {
  const std::string key(name);
  if (Find(m, key.c_str(), value)) return true;
  double seconds = 0, tokens = 0, train = 0, wait = 0;
  if (name == "generated_tokens_per_second") {
    // Supervised steps have completion tokens too, but nobody generated them.
    if (!m.values().contains("reward_mean") || !Find(m, "step_seconds", seconds) ||
        !Find(m, "completion_tokens", tokens) || !(seconds > 0))
      return false;
    value = tokens / seconds;
    return true;
  }
  if (name == "other_seconds") {
    if (!Find(m, "step_seconds", seconds) || !Find(m, "train_seconds", train)) return false;
    Find(m, "wait_batch_seconds", wait);
    value = std::max(0.0, seconds - train - wait);
    return true;
  }
  return false;
}

std::vector<Point> Collect(const std::vector<v1::StepMetrics>& steps, absl::string_view name) {
  std::vector<Point> points;
  for (const v1::StepMetrics& m : steps) {
    Point p{m.step(), 0};
    if (ValueOf(m, name, p.value)) points.push_back(p);
  }
  return points;
}

std::vector<Point> Downsample(const std::vector<Point>& points, size_t limit) {
  if (points.size() <= limit) return points;
  // Up to three points of a stretch, beside the two ends.
  const size_t stretches = std::max<size_t>(1, (limit - 2) / 3);
  std::vector<Point> out{points.front()};
  const size_t inner = points.size() - 2;
  for (size_t i = 0; i < stretches; ++i) {
    const size_t begin = 1 + i * inner / stretches, end = 1 + (i + 1) * inner / stretches;
    size_t low = end, high = end, bad = end;
    for (size_t j = begin; j < end; ++j) {
      if (!std::isfinite(points[j].value)) {
        bad = j;
        continue;
      }
      if (low == end || points[j].value < points[low].value) low = j;
      if (high == end || points[j].value > points[high].value) high = j;
    }
    size_t kept[] = {low, high, bad};
    std::sort(std::begin(kept), std::end(kept));
    for (size_t k = 0; k < 3; ++k)
      if (kept[k] != end && (k == 0 || kept[k] != kept[k - 1])) out.push_back(points[kept[k]]);
  }
  out.push_back(points.back());
  return out;
}

std::vector<Point> RunningMean(const std::vector<Point>& points, int half,
                               const std::vector<int64_t>& breaks) {
  std::vector<Point> out;
  out.reserve(points.size());
  const auto stage = [&](int64_t step) {
    return std::lower_bound(breaks.begin(), breaks.end(), step) - breaks.begin();
  };
  const auto n = static_cast<int64_t>(points.size());
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    int count = 0;
    for (int64_t j = std::max<int64_t>(0, i - half); j <= std::min(n - 1, i + half); ++j) {
      if (!std::isfinite(points[j].value) || stage(points[j].step) != stage(points[i].step))
        continue;
      sum += points[j].value;
      ++count;
    }
    out.push_back(
        {points[i].step, count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN()});
  }
  return out;
}

double Median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace hone
