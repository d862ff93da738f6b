#pragma once

// The horizontal axis of all curves: global steps, stage after stage.

#include <cstdint>
#include <string>
#include <vector>

#include "libs/report/report.h"

namespace hone {

// Steps from + 1 .. to; `from` is the step whose weights the stage began with.
struct Stage {
  std::string name;
  bool grpo = false;
  int64_t from = 0;
  int64_t to = 0;
};

// The stages that have steps, in order of their steps. `data.steps` must be ascending.
std::vector<Stage> StagesOf(const ReportData& data);

// Stages side by side. Each has its own scale, because a run may have thousands of supervised steps
// before a hundred of GRPO: widths grow with the root of the number of steps, and none is less than
// a quarter of an equal share.
class StepAxis {
 public:
  struct Segment {
    Stage stage;
    double left = 0, right = 1;  // of the axis, 0 .. 1
  };
  struct Tick {
    int64_t step;
    double at;  // 0 .. 1
  };

  explicit StepAxis(std::vector<Stage> stages);

  const std::vector<Segment>& segments() const { return segments_; }
  // 0 .. 1; NaN for a step of no stage.
  double At(int64_t step) const;
  // Round steps, at least ~1/9 of the axis apart.
  std::vector<Tick> Ticks() const;

 private:
  std::vector<Segment> segments_;
};

// Round values that cover [low, high] in about `count` steps; at least two. Needs finite low <
// high.
std::vector<double> NiceTicks(double low, double high, int count);

}  // namespace hone
