#include "libs/report/report.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/report/figures.h"
#include "libs/report/ledger_bars.h"
#include "libs/report/page.h"
#include "libs/report/panels.h"
#include "libs/report/samples.h"
#include "libs/report/text.h"

namespace hone {
namespace {

// Ascending, each step once, without evaluations that have no result.
ReportData InOrder(const ReportData& given) {
  ReportData data = given;
  std::stable_sort(data.steps.begin(), data.steps.end(),
                   [](const auto& a, const auto& b) { return a.step() < b.step(); });
  std::vector<v1::StepMetrics> once;
  for (v1::StepMetrics& m : data.steps) {
    if (!once.empty() && once.back().step() == m.step()) once.pop_back();
    once.push_back(std::move(m));
  }
  data.steps = std::move(once);
  std::erase_if(data.evaluations, [](const v1::Evaluation& e) {
    return !e.done() || e.moved_to() != 0 || e.prompts_done() == 0;
  });
  std::stable_sort(data.evaluations.begin(), data.evaluations.end(),
                   [](const auto& a, const auto& b) { return a.step() < b.step(); });
  return data;
}

std::string RenderNotes(const std::string& notes) {
  std::string html;
  for (const absl::string_view paragraph : absl::StrSplit(notes, "\n\n")) {
    const absl::string_view text = absl::StripAsciiWhitespace(paragraph);
    if (!text.empty()) absl::StrAppend(&html, "<p>", EscapeHtml(text), "</p>\n");
  }
  if (html.empty()) return "";
  return absl::StrCat("<section class=\"notes\"><h2>Notes</h2>\n", html, "</section>\n");
}

}  // namespace

std::string RenderReport(const ReportData& given) {
  const ReportData data = InOrder(given);
  const v1::Run& run = data.run;
  const std::string name = run.spec().name().empty() ? run.id() : run.spec().name();
  const Panels panels = RenderPanels(data);
  return absl::StrCat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      // Nothing is fetched, whatever the texts contain.
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
      EscapeHtml(name), " – run report</title>\n<style>\n", PageStyle(),
      "</style></head>\n<body><main>\n", RenderMasthead(data), RenderNotes(data.notes),
      RenderKeyFigures(data), panels.html, RenderLedgers(data), RenderEvaluations(data),
      RenderSamples(data), "</main>\n<script type=\"application/json\" id=\"curves\">", panels.json,
      "</script>\n<script>\n", PageScript(), "</script>\n</body></html>\n");
}

}  // namespace hone
