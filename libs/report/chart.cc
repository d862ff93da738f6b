#include "libs/report/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/report/text.h"

namespace hone {
namespace {

// Units of the drawing; the page stretches it, lines and texts keep their size.
constexpr double kWidth = 1000, kHeight = 400;

// Labels of ticks are round: "20 %", not "20.0 %".
std::string FormatTick(const Chart& chart, double value) {
  return chart.percent ? absl::StrCat(FormatNumber(100 * value), " %") : FormatNumber(value);
}

std::string Format(const Chart& chart, double value) {
  return chart.percent ? FormatPercent(value) : FormatNumber(value);
}

// The vertical axis.
class Scale {
 public:
  Scale(double low, double high, bool logarithmic, bool percent, int count)
      : logarithmic_(logarithmic) {
    if (logarithmic) {
      low_ = std::floor(std::log10(low));
      high_ = std::ceil(std::log10(high));
      const double step = std::max(1.0, std::ceil((high_ - low_) / count));
      for (double e = low_; e <= high_ + 1e-9; e += step) ticks_.push_back(std::pow(10, e));
      return;
    }
    if (!(high > low)) {
      const double room = high == 0 ? 1 : 0.1 * std::abs(high);
      low = low == 0 ? 0 : low - room;
      high += room;
    }
    if (percent && low >= 0 && high > 0.8) high = 1;
    for (const double t : NiceTicks(low, high, count)) {
      // Round values just outside would waste height; 0 and 1 of parts are ends by nature.
      const double room = 0.06 * (high - low);
      if (t < low - room || t > high + room) continue;
      ticks_.push_back(t);
    }
    low_ = std::min(low, ticks_.empty() ? low : ticks_.front());
    high_ = std::max(high, ticks_.empty() ? high : ticks_.back());
  }

  // 0 at the foot, 1 at the top.
  double At(double value) const {
    return ((logarithmic_ ? std::log10(value) : value) - low_) / (high_ - low_);
  }
  const std::vector<double>& ticks() const { return ticks_; }

 private:
  bool logarithmic_;
  double low_ = 0, high_ = 1;
  std::vector<double> ticks_;
};

std::string Place(double x, double y) {
  return absl::StrFormat("%.4g %.4g", x * kWidth, (1 - y) * kHeight);
}

// A line, broken where a value is not finite; single points become dots through the round line cap.
std::string LinePath(const std::vector<Point>& points, const StepAxis& axis, const Scale& scale) {
  std::string path;
  bool drawing = false;
  for (size_t i = 0; i < points.size(); ++i) {
    const double x = axis.At(points[i].step);
    if (!std::isfinite(points[i].value) || !std::isfinite(x)) {
      drawing = false;
      continue;
    }
    absl::StrAppend(&path, drawing ? "L" : "M", Place(x, scale.At(points[i].value)));
    const bool alone = !drawing && (i + 1 == points.size() || !std::isfinite(points[i + 1].value));
    if (alone) path += "h0";
    drawing = true;
  }
  return path;
}

std::string DotsPath(const std::vector<Point>& points, const StepAxis& axis, const Scale& scale) {
  std::string path;
  for (const Point& p : points) {
    const double x = axis.At(p.step);
    if (std::isfinite(p.value) && std::isfinite(x))
      absl::StrAppend(&path, "M", Place(x, scale.At(p.value)), "h0");
  }
  return path;
}

std::string AreaPath(const std::vector<Point>& top, const std::vector<Point>& foot,
                     const StepAxis& axis, const Scale& scale) {
  std::string path;
  for (const Point& p : top)
    absl::StrAppend(&path, path.empty() ? "M" : "L", Place(axis.At(p.step), scale.At(p.value)));
  for (auto p = foot.rbegin(); p != foot.rend(); ++p)
    absl::StrAppend(&path, "L", Place(axis.At(p->step), scale.At(p->value)));
  return path.empty() ? path : path + "Z";
}

void DropOutside(std::vector<Point>& points, const StepAxis& axis) {
  std::erase_if(points, [&](const Point& p) { return !std::isfinite(axis.At(p.step)); });
}

// Gives every curve the steps of the first one, so that thinning cuts all of them at the same
// places.
void Align(std::vector<Curve>& curves) {
  for (size_t k = 1; k < curves.size(); ++k) {
    std::vector<Point> aligned = curves.front().points;
    size_t i = 0;
    for (Point& p : aligned) {
      const std::vector<Point>& own = curves[k].points;
      while (i < own.size() && own[i].step < p.step) ++i;
      const bool there = i < own.size() && own[i].step == p.step;
      p.value = there ? own[i].value : std::numeric_limits<double>::quiet_NaN();
    }
    curves[k].points = std::move(aligned);
  }
}

// Means of equal stretches: extremes of a stack's parts cannot all be kept at once.
std::vector<Point> Thin(const std::vector<Point>& points, size_t limit) {
  if (points.size() <= limit) return points;
  std::vector<Point> out;
  for (size_t i = 0; i < limit; ++i) {
    const size_t begin = i * points.size() / limit, end = (i + 1) * points.size() / limit;
    double sum = 0;
    int count = 0;
    for (size_t j = begin; j < end; ++j) {
      if (!std::isfinite(points[j].value)) continue;
      sum += points[j].value;
      ++count;
    }
    out.push_back(
        {points[end - 1].step, count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN()});
  }
  return out;
}

// Sums of the curves up to each one; needs curves of the same steps.
std::vector<std::vector<Point>> Stack(const std::vector<Curve>& curves) {
  std::vector<std::vector<Point>> sums{curves.front().points};
  for (Point& p : sums.front()) p.value = 0;
  for (const Curve& c : curves) {
    sums.push_back(sums.back());
    for (size_t i = 0; i < c.points.size(); ++i)
      if (std::isfinite(c.points[i].value)) sums.back()[i].value += c.points[i].value;
  }
  return sums;
}

std::string Json(const Curve& c) {
  std::string x, y;
  for (const Point& p : c.points) {
    absl::StrAppend(&x, x.empty() ? "" : ",", p.step);
    absl::StrAppend(&y, y.empty() ? "" : ",",
                    std::isfinite(p.value) ? absl::StrFormat("%.5g", p.value) : "null");
  }
  return absl::StrCat("{\"x\":[", x, "],\"y\":[", y, "]}");
}

std::string Frame(const Chart& chart, const StepAxis& axis, const Scale& scale,
                  const std::string& paths) {
  std::string labels, lines, bounds;
  for (const double t : scale.ticks()) {
    const double y = scale.At(t);
    absl::StrAppendFormat(&labels, "<span class=\"y\" style=\"bottom:%.2f%%\">%s</span>", 100 * y,
                          FormatTick(chart, t));
    absl::StrAppendFormat(&lines, "<path class=\"grid\" d=\"M0 %.4gH%g\"/>", (1 - y) * kHeight,
                          kWidth);
  }
  for (const StepAxis::Tick& t : axis.Ticks())
    absl::StrAppendFormat(&labels, "<span class=\"x\" style=\"left:%.2f%%\">%s</span>", 100 * t.at,
                          FormatCount(t.step));
  const bool named = axis.segments().size() > 1;
  for (size_t i = 0; named && i < axis.segments().size(); ++i) {
    const StepAxis::Segment& s = axis.segments()[i];
    if (i > 0)
      absl::StrAppendFormat(&bounds, "<path class=\"bound\" d=\"M%.4g 0V%g\"/>", s.left * kWidth,
                            kHeight);
    absl::StrAppendFormat(&labels,
                          "<span class=\"stage\" style=\"left:%.2f%%;max-width:%.2f%%\">%s</span>",
                          100 * s.left, 100 * (s.right - s.left), EscapeHtml(s.stage.name));
  }
  return absl::StrCat("<div class=\"plot", chart.tall ? " tall" : "", named ? " staged" : "",
                      "\"><div class=\"field\"><svg viewBox=\"0 0 ", kWidth, " ", kHeight,
                      "\" preserveAspectRatio=\"none\" aria-hidden=\"true\">", lines, bounds, paths,
                      "</svg>", labels, "<i class=\"cursor\"></i></div></div>");
}

}  // namespace

RenderedChart RenderChart(const Chart& original, const StepAxis& axis, int index) {
  Chart chart = original;
  std::vector<int64_t> breaks;
  for (const StepAxis::Segment& s : axis.segments()) breaks.push_back(s.stage.to);
  double low = std::numeric_limits<double>::infinity(), high = -low;
  std::vector<std::vector<Point>> means(chart.curves.size());
  for (Curve& c : chart.curves) DropOutside(c.points, axis);
  if (chart.stacked) Align(chart.curves);
  for (size_t i = 0; i < chart.curves.size(); ++i) {
    Curve& c = chart.curves[i];
    if (c.smooth && c.points.size() >= 40) {
      const int half = std::max(2, static_cast<int>(c.points.size()) / 60);
      means[i] = Downsample(RunningMean(c.points, half, breaks), kMostPoints);
    }
    c.points = chart.stacked ? Thin(c.points, kMostPoints) : Downsample(c.points, kMostPoints);
  }
  // Curves without a single finite value are not drawn, but the panel says that they are missing.
  std::string missing;
  std::vector<std::vector<Point>> kept_means;
  std::vector<Curve> kept;
  for (size_t i = 0; i < chart.curves.size(); ++i) {
    Curve& c = chart.curves[i];
    const bool any = std::any_of(c.points.begin(), c.points.end(),
                                 [](const Point& p) { return std::isfinite(p.value); });
    if (!any) {
      absl::StrAppend(&missing, missing.empty() ? "" : ", ", c.label);
      continue;
    }
    kept.push_back(std::move(c));
    kept_means.push_back(std::move(means[i]));
  }
  chart.curves = std::move(kept);
  means = std::move(kept_means);

  const std::string head = absl::StrCat("<h3>", EscapeHtml(chart.title), "</h3>");
  if (chart.curves.empty()) {
    return {
        absl::StrCat("<figure class=\"panel absent\"><figcaption>", head,
                     "</figcaption><p class=\"none\">", EscapeHtml(chart.empty), "</p></figure>"),
        "null"};
  }

  const auto zero = [](const Curve& c) {
    return std::all_of(c.points.begin(), c.points.end(),
                       [](const Point& p) { return p.value == 0; });
  };
  if (!chart.all_zero.empty() && missing.empty() &&
      std::all_of(chart.curves.begin(), chart.curves.end(), zero)) {
    return {absl::StrCat("<figure class=\"panel absent\"><figcaption>", head, "<p class=\"why\">",
                         EscapeHtml(chart.explanation), "</p></figcaption><p class=\"zero\">",
                         EscapeHtml(chart.all_zero), "</p></figure>"),
            "null"};
  }

  std::vector<std::vector<Point>> sums;
  if (chart.stacked) sums = Stack(chart.curves);
  const auto widen = [&](const std::vector<Point>& points) {
    for (const Point& p : points) {
      if (!std::isfinite(p.value)) continue;
      low = std::min(low, p.value);
      high = std::max(high, p.value);
    }
  };
  for (const Curve& c : chart.curves) widen(c.points);
  for (const auto& s : sums) widen(s);
  const bool logarithmic = chart.allow_log && !chart.stacked && low > 0 && high / low > 100;
  if (!logarithmic && low > 0) low = 0;
  const Scale scale(low, high, logarithmic, chart.percent, chart.tall ? 5 : 4);

  std::string paths, legend, json;
  for (size_t i = 0; i < chart.curves.size(); ++i) {
    const Curve& c = chart.curves[i];
    const std::string color = absl::StrCat("c", c.color);
    if (chart.stacked) {
      absl::StrAppend(&paths, "<path class=\"area ", color, "\" d=\"",
                      AreaPath(sums[i + 1], sums[i], axis, scale), "\"/>");
    } else {
      absl::StrAppend(&paths, "<path class=\"line ", color, means[i].empty() ? "" : " pale",
                      "\" d=\"", LinePath(c.points, axis, scale), "\"/>");
      if (!means[i].empty())
        absl::StrAppend(&paths, "<path class=\"line ", color, "\" d=\"",
                        LinePath(means[i], axis, scale), "\"/>");
      if (c.dots || c.points.size() <= 24)
        absl::StrAppend(&paths, "<path class=\"dots ", color, "\" d=\"",
                        DotsPath(c.points, axis, scale), "\"/>");
    }
    double last = std::numeric_limits<double>::quiet_NaN();
    for (const Point& p : c.points)
      if (std::isfinite(p.value)) last = p.value;
    absl::StrAppend(&legend, "<span class=\"key ", color, "\">", EscapeHtml(c.label), " <b>",
                    Format(chart, last), "</b></span>");
    absl::StrAppend(&json, json.empty() ? "" : ",", Json(c));
  }
  std::string why = EscapeHtml(chart.explanation);
  if (logarithmic) absl::StrAppend(&why, why.empty() ? "" : "; ", "logarithmic scale");
  if (!missing.empty())
    absl::StrAppend(&why, why.empty() ? "" : "; ", "not measured: ", EscapeHtml(missing));
  int64_t newest = 0;
  for (const Curve& c : chart.curves) newest = std::max(newest, c.points.back().step);
  return {
      absl::StrCat("<figure class=\"panel", chart.tall ? " wide" : "", "\" data-i=\"", index,
                   "\"><figcaption><div class=\"head\">", head, "<span class=\"at\">step <b>",
                   FormatCount(newest), "</b></span></div>", why.empty() ? "" : "<p class=\"why\">",
                   why, why.empty() ? "" : "</p>", "<p class=\"legend\">", legend,
                   "</p></figcaption>", Frame(chart, axis, scale, paths), "</figure>"),
      absl::StrCat("{\"p\":", chart.percent ? 1 : 0, ",\"s\":[", json, "]}")};
}

}  // namespace hone
