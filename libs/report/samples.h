#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/report/report.h"

namespace hone {

// A stretch of a completion.
struct TextPart {
  enum Kind { kPlain, kThink, kAnswer, kTag } kind;
  std::string text;
};

// Splits at <think>, </think>, <answer> and </answer>. Text before a </think> that was never opened
// is thought: the prompt may have opened it. Joined again, the parts are the text.
std::vector<TextPart> SplitCompletion(absl::string_view text);

// Best and worst completions of early and late groups side by side.
std::string RenderSamples(const ReportData& data);

}  // namespace hone
