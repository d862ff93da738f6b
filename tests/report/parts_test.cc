#include <cmath>
#include <limits>

#include "libs/report/axis.h"
#include "libs/report/samples.h"
#include "libs/report/series.h"
#include "libs/report/text.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

TEST_CASE("thinning keeps ends, extremes and holes", "[report]") {
  std::vector<Point> points;
  for (int i = 0; i < 50000; ++i) points.push_back({i, std::sin(i * 0.001)});
  points[12345].value = 40;
  points[23456].value = -30;
  points[34567].value = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Point> thin = Downsample(points, 600);
  CHECK(thin.size() <= 600);
  CHECK(thin.size() > 300);
  CHECK(thin.front().step == 0);
  CHECK(thin.back().step == 49999);
  bool high = false, low = false, hole = false;
  for (size_t i = 0; i < thin.size(); ++i) {
    if (i > 0) CHECK(thin[i].step > thin[i - 1].step);
    high |= thin[i].value == 40;
    low |= thin[i].value == -30;
    hole |= !std::isfinite(thin[i].value);
  }
  CHECK((high && low && hole));
  points.resize(600);
  CHECK(Downsample(points, 600).size() == 600);
}

TEST_CASE("a running mean does not cross a stage's end", "[report]") {
  std::vector<Point> points;
  for (int i = 1; i <= 20; ++i) points.push_back({i, i <= 10 ? 1.0 : 5.0});
  points[4].value = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Point> mean = RunningMean(points, 3, {10, 20});
  for (const Point& p : mean) CHECK(p.value == (p.step <= 10 ? 1.0 : 5.0));
}

TEST_CASE("short stages keep their room on the axis", "[report]") {
  const StepAxis axis({{"a", false, 0, 100000}, {"b", true, 100000, 100010}});
  REQUIRE(axis.segments().size() == 2);
  CHECK(axis.segments()[1].right - axis.segments()[1].left > 0.1);
  CHECK(axis.At(0) == 0);
  CHECK(axis.At(100010) == Approx(1));
  CHECK(axis.At(100000) == Approx(axis.segments()[1].left));
  CHECK(std::isnan(axis.At(100011)));
  for (const StepAxis::Tick& t : axis.Ticks()) CHECK(axis.At(t.step) == t.at);
}

TEST_CASE("ticks are round and cover the range", "[report]") {
  CHECK(NiceTicks(0, 1, 4) == std::vector<double>{0, 0.5, 1});
  CHECK(NiceTicks(3, 97, 5).front() == 0);
  CHECK(NiceTicks(3, 97, 5).back() == 100);
  CHECK(NiceTicks(-1e-9, 1e-9, 3).size() >= 2);
}

TEST_CASE("numbers are written for people", "[report]") {
  CHECK(FormatNumber(0) == "0");
  CHECK(FormatNumber(0.51234) == "0.512");
  CHECK(FormatNumber(3e-5) == "3×10⁻⁵");
  CHECK(FormatNumber(-2.5e-12) == "-2.5×10⁻¹²");
  CHECK(FormatNumber(1234) == "1234");
  CHECK(FormatNumber(12345) == "12.3 k");
  CHECK(FormatNumber(9999999) == "10 M");
  CHECK(FormatNumber(std::numeric_limits<double>::quiet_NaN()) == "n/a");
  CHECK(FormatPercent(0.4801) == "48.0 %");
  CHECK(FormatPercent(0.9164) == "91.6 %");
  CHECK(FormatCount(1234567) == "1 234 567");
  CHECK(FormatCount(-123) == "-123");
  CHECK(FormatSeconds(0.0123) == "12.3 ms");
  CHECK(FormatSeconds(431) == "7 min 11 s");
  CHECK(FormatSeconds(7620) == "2 h 07 min");
  CHECK(Humanize("wait_batch") == "Wait batch");
}

TEST_CASE("texts are escaped, broken UTF-8 is replaced", "[report]") {
  CHECK(EscapeHtml("<a b=\"c\" d='e'>&") == "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
  CHECK(EscapeHtml("é漢😀") == "é漢😀");
  CHECK(EscapeHtml("a\xC3") == "a\xEF\xBF\xBD");
  CHECK(EscapeHtml("\xC0\xAF") == "\xEF\xBF\xBD\xEF\xBF\xBD");  // overlong
  CHECK(EscapeHtml("\xED\xA0\x80x").ends_with("x"));            // a surrogate
  CHECK(EscapeHtml(std::string("\0\x1b", 2)) == "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("thoughts and answers are found", "[report]") {
  const auto kinds = [](const char* text) {
    std::string out;
    for (const TextPart& p : SplitCompletion(text)) out += "pta<"[p.kind] + ("(" + p.text + ")");
    return out;
  };
  CHECK(kinds("<think>a</think>b<answer>c</answer>") ==
        "<(<think>)t(a)<(</think>)p(b)<(<answer>)a(c)<(</answer>)");
  CHECK(kinds("a</think>b") == "t(a)<(</think>)p(b)");
  CHECK(kinds("a < b") == "p(a < b)");
  CHECK(kinds("<think>a") == "<(<think>)t(a)");
  CHECK(kinds("") == "");
}

}  // namespace
}  // namespace hone
