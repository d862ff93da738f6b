#include "libs/report/axis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace hone {

std::vector<Stage> StagesOf(const ReportData& data) {
  std::set<std::string> grpo;
  for (const v1::StageSpec& s : data.run.spec().stages())
    if (s.has_grpo()) grpo.insert(s.name());
  std::vector<Stage> stages;
  for (const v1::StepMetrics& m : data.steps) {
    if (stages.empty() || stages.back().name != m.stage()) {
      const int64_t begin = m.stage_step() > 0 ? m.step() - m.stage_step() : m.step() - 1;
      const int64_t after = stages.empty() ? begin : std::max(begin, stages.back().to);
      // Without a spec the metrics tell: only GRPO has rewards.
      const bool is_grpo = grpo.contains(m.stage()) || m.values().contains("reward_mean");
      stages.push_back({m.stage(), is_grpo, std::min(after, m.step() - 1), m.step()});
    }
    stages.back().to = m.step();
  }
  return stages;
}

StepAxis::StepAxis(std::vector<Stage> stages) {
  double sum = 0;
  for (Stage& s : stages) {
    const double width = std::sqrt(static_cast<double>(s.to - s.from));
    segments_.push_back({std::move(s), 0, width});
    sum += width;
  }
  const double least = segments_.empty() ? 0 : 0.25 / static_cast<double>(segments_.size());
  double total = 0;
  for (Segment& s : segments_) total += s.right = std::max(s.right / sum, least);
  double left = 0;
  for (Segment& s : segments_) {
    const double width = s.right / total;
    s.left = left;
    left += width;
    s.right = left;
  }
}

double StepAxis::At(int64_t step) const {
  for (const Segment& s : segments_) {
    if (step < s.stage.from || step > s.stage.to) continue;
    const double part =
        static_cast<double>(step - s.stage.from) / static_cast<double>(s.stage.to - s.stage.from);
    return s.left + part * (s.right - s.left);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::vector<StepAxis::Tick> StepAxis::Ticks() const {
  std::vector<Tick> ticks;
  for (const Segment& s : segments_) {
    const auto low = static_cast<double>(s.stage.from), high = static_cast<double>(s.stage.to);
    const int count = std::max(1, static_cast<int>(6 * (s.right - s.left)));
    for (const double t : NiceTicks(low, high, count)) {
      const auto step = static_cast<int64_t>(std::llround(t));
      if (t < low || t > high || std::abs(t - static_cast<double>(step)) > 1e-6) continue;
      const double at = At(step);
      if (ticks.empty() || at - ticks.back().at > 0.11) ticks.push_back({step, at});
    }
  }
  return ticks;
}

std::vector<double> NiceTicks(double low, double high, int count) {
  const double raw = (high - low) / std::max(1, count);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double part = raw / power;
  const double step = power * (part <= 1.0001 ? 1 : part <= 2.0001 ? 2 : part <= 5.0001 ? 5 : 10);
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  for (double i = first; i <= last && ticks.size() < 50; ++i) ticks.push_back(i * step);
  return ticks;
}

}  // namespace hone
