// hone score: what the scorers say of completions in a file, in this process.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"
#include "services/cli/scoring.h"

namespace hone::cli {
namespace {

struct Flags {
  std::string file;
  RewardFlags reward;
  std::string field = "completion";
};

absl::StatusOr<int> Score(Context& context, const Flags& flags) {
  HONE_ASSIGN_OR_RETURN(const RewardFunction reward, MakeReward(flags.reward));
  HONE_ASSIGN_OR_RETURN(std::vector<PromptAndLine> lines, ReadPromptFile(flags.file, 0));
  v1::ScoreBatchResponse all;
  Table table({"ID", "REWARD", "CORRECT", "OUTCOME", "WHY"});
  double sum = 0;
  int64_t scored = 0, correct = 0;
  for (PromptAndLine& line : lines) {
    v1::ScoreItem item;
    auto* fields = line.prompt.mutable_metadata()->mutable_fields();
    if (flags.field == "response") {
      item.set_completion(line.prompt.response());
    } else if (const auto it = fields->find(flags.field);
               it != fields->end() &&
               it->second.kind_case() == google::protobuf::Value::kStringValue) {
      item.set_completion(it->second.string_value());
      fields->erase(it);
    } else {
      return absl::InvalidArgumentError(absl::StrCat(flags.file, ":", line.line, ": no text \"",
                                                     flags.field, "\" (see --field)"));
    }
    item.set_finish_reason(v1::FINISH_REASON_STOP_TOKEN);
    *item.mutable_prompt() = std::move(line.prompt);
    const v1::Verdict verdict = reward.Score(item);
    if (verdict.outcome() == v1::OUTCOME_SCORED) {
      ++scored;
      sum += verdict.score();
      correct += verdict.correct();
    }
    if (context.output.machine()) {
      *all.add_verdicts() = verdict;
      continue;
    }
    std::string why;
    for (const v1::ScorePart& p : verdict.parts())
      absl::StrAppend(&why, why.empty() ? "" : "; ", p.scorer(), " ", Number(p.value()), " ",
                      Printable(p.reason()));
    table.Add({Printable(item.prompt().id()),
               verdict.outcome() == v1::OUTCOME_SCORED ? Number(verdict.score()) : "-",
               verdict.correct() ? "yes" : "no",
               EnumName(v1::Outcome_descriptor(), verdict.outcome()), why});
  }
  if (context.output.machine()) {
    context.output.Messages(all, all.verdicts());
    return kExitOk;
  }
  table.Print(context.output);
  const double n = static_cast<double>(scored);
  context.output.Note(absl::StrCat(lines.size(), " completions, ", scored, " scored, mean reward ",
                                   Number(scored > 0 ? sum / n : 0), ", correct ",
                                   Number(scored > 0 ? static_cast<double>(correct) / n : 0)));
  return kExitOk;
}

}  // namespace

void AddScoreCommand(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, context, "score", "score completions of a file, with reasons",
                                 [flags](Context& c) { return Score(c, *flags); });
  command->add_option("file", flags->file, "JSON lines of a prompt set with a completion in each")
      ->required();
  command->add_option("--field", flags->field, "where the completion is; `response` works too")
      ->capture_default_str();
  AddRewardOptions(*command, flags->reward);
}

void AddRewardOptions(CLI::App& command, RewardFlags& flags) {
  command
      .add_option("--scorer", flags.scorers,
                  "name[:option=value,...], e.g. countdown:operators=+-; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--reward-of", flags.run_file, "instead: the reward of this run file");
}

}  // namespace hone::cli
