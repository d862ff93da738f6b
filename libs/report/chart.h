#pragma once

// One panel: a title, a legend that doubles as the read-out, and curves over the step axis.

#include <string>
#include <vector>

#include "libs/report/axis.h"
#include "libs/report/series.h"

namespace hone {

struct Curve {
  std::string label;
  std::vector<Point> points;
  int color = 1;        // 1 .. 5, see page_style.cc
  bool dots = false;    // few points that stand for themselves, as evaluations do
  bool smooth = false;  // drawn pale, with the running mean over it
};

// The scale begins at 0 unless a value is negative.
struct Chart {
  std::string title;
  std::string explanation;  // one line: unit, or how to read it
  std::vector<Curve> curves;
  bool percent = false;
  bool zero = true;        // the scale begins at 0 when no value is negative
  bool stacked = false;    // areas on top of each other; every curve has the same steps
  bool allow_log = false;  // logarithmic when the values, all positive, span more than two decades
  bool tall = false;
  std::string empty = "not measured in this run";
  std::string all_zero;  // said instead of drawing a flat line, when every value is exactly 0
};

// Most points of a curve.
inline constexpr size_t kMostPoints = 600;

struct RenderedChart {
  std::string html;
  std::string json;  // what the read-out script needs; "null" for an empty panel
};

// `index` is the panel's place in the page's array of `json`.
RenderedChart RenderChart(const Chart& chart, const StepAxis& axis, int index);

}  // namespace hone
