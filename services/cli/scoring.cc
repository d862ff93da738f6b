#include "services/cli/scoring.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/json_util.h"
#include "libs/base/status.h"
#include "libs/buffer/prompt_lines.h"
#include "libs/config/rewards.h"
#include "libs/config/run_file.h"
#include "services/cli/completion_file.h"

namespace hone::cli {
namespace {

// Null when nobody knows it: then the server, or the registry, says so.
const v1::ScorerOption* FindOption(const v1::ListScorersResponse& known, absl::string_view scorer,
                                   absl::string_view option) {
  for (const auto& s : known.scorers())
    if (s.name() == scorer)
      for (const v1::ScorerOption& o : s.options())
        if (o.name() == option) return &o;
  return nullptr;
}

// "a=1,b=x\,y" into "a=1" and "b=x,y".
std::vector<std::string> SplitAtCommas(absl::string_view text) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',')
      parts.emplace_back();
    else if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',')
      parts.back().push_back(text[++i]);
    else
      parts.back().push_back(text[i]);
  }
  return parts;
}

absl::Status SetValue(const v1::ScorerOption* option, const std::string& text,
                      google::protobuf::Value* value) {
  const auto kind = option == nullptr ? v1::ScorerOption::KIND_UNSPECIFIED : option->kind();
  double number = 0;
  if (kind == v1::ScorerOption::KIND_NUMBER || kind == v1::ScorerOption::KIND_INTEGER) {
    if (!absl::SimpleAtod(text, &number))
      return absl::InvalidArgumentError(absl::StrCat(
          option->name(), " is \"", text, "\" (expected a number, ", option->expected(), ")"));
    value->set_number_value(number);
  } else if (kind == v1::ScorerOption::KIND_BOOL) {
    if (text != "true" && text != "false")
      return absl::InvalidArgumentError(
          absl::StrCat(option->name(), " is \"", text, "\" (expected true or false)"));
    value->set_bool_value(text == "true");
  } else {
    value->set_string_value(text);
  }
  return absl::OkStatus();
}

absl::Status ReadScorer(const std::string& text, const v1::ListScorersResponse& known,
                        v1::ScorerSpec* scorer) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  const auto wrong = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat("--scorer ", text, ": ", what...));
  };
  scorer->set_name(parts.first);
  google::protobuf::Struct* options = scorer->mutable_options();
  if (absl::StartsWith(parts.second, "{")) {
    const auto parsed = google::protobuf::util::JsonStringToMessage(parts.second, options);
    if (!parsed.ok()) return wrong("not JSON: ", std::string(parsed.message()));
  } else if (!parts.second.empty()) {
    for (const std::string& assignment : SplitAtCommas(parts.second)) {
      const size_t equals = assignment.find('=');
      if (equals == assignment.npos) return wrong("\"", assignment, "\" (expected option=value)");
      const std::string name = assignment.substr(0, equals);
      auto& value = (*options->mutable_fields())[name];
      const std::string given = assignment.substr(equals + 1);
      double number = 0;
      if (name == "weight" || name == "timeout") {
        if (!absl::SimpleAtod(given, &number))
          return wrong(name, " \"", given, "\" (expected a number)");
        value.set_number_value(number);
      } else if (const absl::Status status =
                     SetValue(FindOption(known, scorer->name(), name), given, &value);
                 !status.ok()) {
        return wrong(status.message());
      }
    }
  }
  if (const auto it = options->fields().find("weight"); it != options->fields().end()) {
    scorer->set_weight(it->second.number_value());
    options->mutable_fields()->erase("weight");
  }
  if (const auto it = options->fields().find("timeout"); it != options->fields().end()) {
    scorer->set_timeout_seconds(it->second.number_value());
    options->mutable_fields()->erase("timeout");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::RewardSpec> ReadReward(const RewardFlags& flags,
                                          const v1::ListScorersResponse& known) {
  if (flags.scorers.empty() == flags.run_file.empty())
    return absl::InvalidArgumentError("expected either --scorer or --reward-of");
  v1::RewardSpec spec;
  if (!flags.run_file.empty()) {
    HONE_ASSIGN_OR_RETURN(const v1::RunSpec run, LoadRunSpec(flags.run_file));
    spec = RewardOf(run, flags.prompt_set);
  } else if (!flags.prompt_set.empty()) {
    return absl::InvalidArgumentError("--prompt-set goes with --reward-of");
  }
  for (const std::string& text : flags.scorers)
    HONE_RETURN_IF_ERROR(ReadScorer(text, known, spec.add_scorers()));
  return spec;
}

absl::StatusOr<std::vector<PromptAndLine>> ReadPromptFile(const std::string& path, int64_t limit) {
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadLines(path));
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
