// hone samples: completions with their rewards, for people to read.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"

namespace hone::cli {
namespace {

struct Flags {
  std::string run, evaluation, prompt;
  int64_t step = 0;
  int64_t limit = 5;
  bool best = false, worst = false;
};

struct Sample {
  const v1::Group* group;
  const v1::Completion* completion;
  int rank;  // within its group
};

absl::StatusOr<std::vector<v1::Group>> ReadGroups(Context& context, const Flags& flags) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  v1::ListGroupsRequest request;
  request.set_run_id(flags.run);
  request.set_step(flags.step);
  request.set_evaluation(flags.evaluation);
  request.set_prompt_id(flags.prompt);
  // Sorting needs a whole step or evaluation; of "the newest", one page is enough.
  const bool whole = flags.step != 0 || !flags.evaluation.empty() || !flags.prompt.empty();
  const bool sorted = flags.best || flags.worst;
  std::vector<v1::Group> groups;
  int64_t completions = 0;
  do {
    HONE_ASSIGN_OR_RETURN(v1::ListGroupsResponse page,
                          Call(context, c, *c.runs, &RunStub::ListGroups, request));
    for (v1::Group& g : *page.mutable_groups()) {
      completions += g.completions_size();
      groups.push_back(std::move(g));
    }
    request.set_page_token(page.next_page_token());
    if (!sorted && flags.limit > 0 && completions >= flags.limit) break;
    if (sorted && !whole) break;
  } while (!request.page_token().empty());
  return groups;
}

// One of each group before the second of any, so that a few samples show several prompts.
std::vector<Sample> Choose(const std::vector<v1::Group>& groups, const Flags& flags) {
  std::vector<Sample> samples;
  for (const v1::Group& g : groups) {
    int rank = 0;
    for (const v1::Completion& c : g.completions()) samples.push_back({&g, &c, rank++});
  }
  if (flags.best || flags.worst) {
    // What was not scored has no place in an order of scores.
    std::erase_if(samples, [](const Sample& s) {
      return s.completion->verdict().outcome() != v1::OUTCOME_SCORED;
    });
    std::stable_sort(samples.begin(), samples.end(), [&](const Sample& a, const Sample& b) {
      const double left = a.completion->verdict().score();
      const double right = b.completion->verdict().score();
      return flags.best ? left > right : left < right;
    });
  } else if (flags.prompt.empty()) {
    std::stable_sort(samples.begin(), samples.end(),
                     [](const Sample& a, const Sample& b) { return a.rank < b.rank; });
  }
  if (flags.limit > 0 && static_cast<int64_t>(samples.size()) > flags.limit)
    samples.resize(static_cast<size_t>(flags.limit));
  return samples;
}

std::string Indented(absl::string_view text) {
  std::string shown = "    ";
  for (const char c : Printable(text)) {
    shown.push_back(c);
    if (c == '\n') shown += "    ";
  }
  return shown;
}

void Show(Output& output, const Sample& s) {
  const v1::Group& g = *s.group;
  const v1::Completion& c = *s.completion;
  const v1::Verdict& v = c.verdict();
  const std::string outcome = EnumName(v1::Outcome_descriptor(), v.outcome());
  output.Line(absl::StrCat(
      "== prompt ", Printable(g.prompt_id()), "  sample ", c.sample_index(), "  ",
      v.outcome() == v1::OUTCOME_SCORED ? absl::StrCat("reward ", Number(v.score()))
                                        : absl::StrCat("no reward: ", outcome),
      v.correct() ? "  correct" : "", "  ", c.token_ids_size(), " tokens, ",
      EnumName(v1::FinishReason_descriptor(), c.finish_reason()), "  ", g.stage(),
      g.stage().empty() ? "issue " : " issue ", g.issue(), "  weights ", g.weights_version()));
  output.Line(absl::StrCat("  prompt\n", Indented(g.prompt_text())));
  output.Line(absl::StrCat("  completion\n", Indented(c.text())));
  for (const v1::ScorePart& p : v.parts()) {
    const bool has_value = p.outcome() == v1::OUTCOME_SCORED || p.outcome() == v1::OUTCOME_UNPARSED;
    output.Line(
        absl::StrCat("  ", p.scorer(), " ", has_value ? Number(p.value()) : std::string("-"),
                     p.weight() == 1 ? "" : absl::StrCat(" x ", Number(p.weight(), 2)),
                     p.outcome() == v1::OUTCOME_SCORED
                         ? ""
                         : absl::StrCat(" (", EnumName(v1::Outcome_descriptor(), p.outcome()), ")"),
                     p.reason().empty() ? "" : absl::StrCat(": ", Printable(p.reason()))));
  }
  output.Line("");
}

absl::StatusOr<int> Samples(Context& context, const Flags& flags) {
  HONE_ASSIGN_OR_RETURN(const std::vector<v1::Group> groups, ReadGroups(context, flags));
  const std::vector<Sample> samples = Choose(groups, flags);
  if (samples.empty())
    return absl::NotFoundError(absl::StrCat("run \"", flags.run, "\" has no such completions"));
  v1::ListGroupsResponse chosen;
  for (const Sample& s : samples) {
    if (!context.output.machine()) {
      Show(context.output, s);
      continue;
    }
    v1::Group* one = chosen.add_groups();
    *one = *s.group;
    one->clear_completions();
    *one->add_completions() = *s.completion;
  }
  if (context.output.machine()) context.output.Messages(chosen, chosen.groups());
  return kExitOk;
}

}  // namespace

void AddSamplesCommand(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, context, "samples", "read completions with their rewards",
                                 [flags](Context& c) { return Samples(c, *flags); });
  command->add_option("run", flags->run, "id of the run")->required();
  command->add_option("--step", flags->step, "of this global step")->check(CLI::NonNegativeNumber);
  command->add_option("--eval", flags->evaluation, "of this evaluation, of --step or the newest");
  command->add_option("--prompt", flags->prompt, "of this prompt");
  command->add_option("--limit", flags->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  CLI::Option* best = command->add_flag("--best", flags->best, "highest rewards first");
  command->add_flag("--worst", flags->worst, "lowest rewards first")->excludes(best);
}

}  // namespace hone::cli
