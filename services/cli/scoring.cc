#include "services/cli/scoring.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/buffer/prompt_lines.h"
#include "libs/config/run_file.h"

namespace hone::cli {
namespace {

absl::Status ReadScorer(const std::string& text, v1::ScorerSpec* scorer) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  scorer->set_name(parts.first);
  for (absl::string_view assignment : absl::StrSplit(parts.second, ',', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> option =
        absl::StrSplit(assignment, absl::MaxSplits('=', 1));
    if (assignment.find('=') == absl::string_view::npos)
      return absl::InvalidArgumentError(
          absl::StrCat("--scorer ", text, ": \"", assignment, "\" (expected option=value)"));
    if (option.first == "weight") {
      double weight = 0;
      if (!absl::SimpleAtod(option.second, &weight))
        return absl::InvalidArgumentError(absl::StrCat("--scorer ", text, ": weight \"",
                                                       option.second, "\" (expected a number)"));
      scorer->set_weight(weight);
      continue;
    }
    auto& value = (*scorer->mutable_options()->mutable_fields())[option.first];
    if (option.second == "true" || option.second == "false")
      value.set_bool_value(option.second == "true");
    else
      value.set_string_value(option.second);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RewardFunction> MakeReward(const RewardFlags& flags) {
  if (flags.scorers.empty() == flags.run_file.empty())
    return absl::InvalidArgumentError("expected either --scorer or --reward-of");
  v1::RewardSpec spec;
  if (!flags.run_file.empty()) {
    HONE_ASSIGN_OR_RETURN(const v1::RunSpec run, LoadRunSpec(flags.run_file));
    spec = run.reward();
  }
  for (const std::string& text : flags.scorers)
    HONE_RETURN_IF_ERROR(ReadScorer(text, spec.add_scorers()));
  return RewardFunction::Create(spec);
}

absl::StatusOr<std::vector<PromptAndLine>> ReadPromptFile(const std::string& path, int64_t limit) {
  constexpr int64_t kMaxBytes = int64_t{1} << 30;
  HONE_ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxBytes));
  if (!text.empty() && text.back() != '\n') text.push_back('\n');
  ParsedLines parsed = ParsePromptLines(text, 1);
  if (!parsed.errors.empty()) {
    std::vector<std::string> lines;
    for (const LineError& e : parsed.errors)
      lines.push_back(absl::StrCat(path, ":", e.line, ": ", e.message));
    return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
  }
  std::vector<PromptAndLine> prompts;
  for (PromptLine& p : parsed.prompts) {
    if (limit > 0 && static_cast<int64_t>(prompts.size()) == limit) break;
    prompts.push_back({std::move(p.prompt), p.line});
  }
  if (prompts.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no prompts in it"));
  return prompts;
}

}  // namespace hone::cli
