#include "libs/report/ledger_bars.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/report/text.h"

namespace hone {
namespace {

struct State {
  const char* name;
  const char* label;
  int color;  // class s1 .. s10 of the page's style; work is coloured, waiting is grey
};

// Work first, then what waits, so that the coloured part of a bar is the useful one.
constexpr State kStates[] = {
    {"generate", "Generating", 1},
    {"train", "Training", 1},
    {"evaluate", "Evaluating", 2},
    {"publish", "Publishing weights", 3},
    {"swap_weights", "Swapping weights", 3},
    {"checkpoint", "Writing checkpoints", 4},
    {"load", "Loading", 5},
    {"bookkeeping", "Bookkeeping", 6},
    {"wait_batch", "Waiting for the batch", 7},
    {"wait_prompts", "Waiting for prompts", 7},
    {"wait_verdicts", "Waiting for verdicts", 8},
    {"wait_coordinator", "Waiting for the coordinator", 8},
    {"wait_weights", "Waiting for weights", 9},
    {"paused", "Paused", 10},
    {"idle", "Idle", 10},
};

struct Slice {
  std::string label;
  int color;
  size_t order;
  double seconds;
};

std::vector<Slice> Slices(const std::map<std::string, double>& states) {
  std::vector<Slice> slices;
  for (const auto& [name, seconds] : states) {
    if (!std::isfinite(seconds) || seconds <= 0) continue;
    const auto* known = std::find_if(std::begin(kStates), std::end(kStates),
                                     [&n = name](const State& s) { return n == s.name; });
    if (known != std::end(kStates)) {
      slices.push_back({known->label, known->color, static_cast<size_t>(known - kStates), seconds});
    } else {
      slices.push_back(
          {Humanize(name), absl::StartsWith(name, "wait") ? 9 : 6, std::size(kStates), seconds});
    }
  }
  std::stable_sort(slices.begin(), slices.end(),
                   [](const Slice& a, const Slice& b) { return a.order < b.order; });
  return slices;
}

}  // namespace

std::string RenderLedgers(const ReportData& data) {
  std::string html =
      "<section><h2>Every second accounted for</h2><p class=\"lead\">Each process is in exactly "
      "one "
      "state at any time: the parts of a bar add up to the process's life.</p>\n";
  if (data.ledgers.empty())
    return absl::StrCat(html, "<p class=\"none\">Time ledgers were not collected.</p></section>\n");
  double longest = 0;
  for (const auto& [process, states] : data.ledgers) {
    double sum = 0;
    for (const Slice& s : Slices(states)) sum += s.seconds;
    longest = std::max(longest, sum);
  }
  for (const auto& [process, states] : data.ledgers) {
    const std::vector<Slice> slices = Slices(states);
    double sum = 0;
    for (const Slice& s : slices) sum += s.seconds;
    std::string bar, legend;
    for (const Slice& s : slices) {
      const std::string share = FormatPercent(s.seconds / sum);
      absl::StrAppendFormat(
          &bar, "<i class=\"s%d\" style=\"width:%.4f%%\" title=\"%s: %s, %s\"></i>", s.color,
          100 * s.seconds / longest, EscapeHtml(s.label), FormatSeconds(s.seconds), share);
      absl::StrAppendFormat(&legend, "<li><i class=\"s%d\"></i>%s <b>%s</b> <span>%s</span></li>",
                            s.color, EscapeHtml(s.label), share, FormatSeconds(s.seconds));
    }
    absl::StrAppend(&html, "<div class=\"ledger\"><h3>", EscapeHtml(Humanize(process)),
                    " <span>total ", FormatSeconds(sum), "</span></h3><div class=\"bar\">", bar,
                    "</div><ul>", legend, "</ul></div>\n");
  }
  return absl::StrCat(html, "</section>\n");
}

}  // namespace hone
