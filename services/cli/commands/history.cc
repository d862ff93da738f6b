// hone run metrics | issues: what is kept of every step and every prompt.

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"
#include "services/cli/interrupt.h"

namespace hone::cli {
namespace {

struct MetricsFlags {
  std::string run;
  std::vector<std::string> names;
  int64_t after = 0;
  bool follow = false;
  bool all = false;
};

// What is shown when nobody asks for names, as far as the step has it.
const std::vector<std::string>& UsualNames() {
  static const std::vector<std::string> names = {
      "reward_mean",     "pass_at_1", "loss",          "response_length_mean",
      "rollout_entropy", "grad_norm", "learning_rate", "step_seconds"};
  return names;
}

void PrintStep(Output& output, const v1::StepMetrics& step, const MetricsFlags& flags) {
  if (output.machine()) return output.Message(step);
  std::vector<std::string> names = flags.names.empty() ? UsualNames() : flags.names;
  if (flags.all) {
    names.clear();
    for (const auto& [name, value] : step.values()) names.push_back(name);
    std::sort(names.begin(), names.end());
  }
  std::string line = absl::StrCat("step ", step.step(), "  ", step.stage(), " ", step.stage_step());
  for (const std::string& name : names) {
    const auto it = step.values().find(name);
    if (it != step.values().end())
      absl::StrAppend(&line, "  ", name, "=", Number(it->second, 4));
    else if (!flags.names.empty())
      absl::StrAppend(&line, "  ", name, "=-");
  }
  output.Line(line);
}

absl::StatusOr<int> Metrics(Context& context, const MetricsFlags& flags) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  // Steps come page by page: JSON is always one object per line.
  if (context.output.format == Format::kJson) context.output.format = Format::kJsonLines;
  Interrupt interrupt([] {});
  v1::ListStepMetricsRequest request;
  request.set_run_id(flags.run);
  request.set_after_step(flags.after);
  request.set_page_size(1000);
  while (!Interrupt::raised()) {
    // Asked before the list, so that a run that has ended has no later steps.
    v1::GetRunRequest get;
    get.set_run_id(flags.run);
    HONE_ASSIGN_OR_RETURN(const v1::GetRunResponse run,
                          Call(context, c, *c.runs, &RunStub::GetRun, get));
    HONE_ASSIGN_OR_RETURN(const v1::ListStepMetricsResponse page,
                          Call(context, c, *c.runs, &RunStub::ListStepMetrics, request));
    for (const v1::StepMetrics& step : page.steps()) {
      PrintStep(context.output, step, flags);
      request.set_after_step(step.step());
    }
    if (page.next_after_step() != 0) continue;
    if (!flags.follow || run.run().has_end_time()) return kExitOk;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  return kExitInterrupted;
}

struct IssueFlags {
  std::string run, stage, state, prompt;
  int64_t limit = 50;
};

absl::StatusOr<int> Issues(Context& context, const IssueFlags& flags) {
  v1::ListIssuesRequest request;
  request.set_run_id(flags.run);
  request.set_stage(flags.stage);
  request.set_prompt_id(flags.prompt);
  if (!flags.state.empty()) {
    v1::IssueState state;
    if (!v1::IssueState_Parse(absl::StrCat("ISSUE_STATE_", absl::AsciiStrToUpper(flags.state)),
                              &state))
      return absl::InvalidArgumentError(absl::StrCat(
          "--state ", flags.state,
          ": expected leased, committed, assigned, trained, covered, dropped or ready"));
    request.set_state(state);
  }
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  v1::ListIssuesResponse all;
  do {
    const int64_t left = flags.limit == 0 ? 1000 : flags.limit - all.issues_size();
    request.set_page_size(static_cast<int32_t>(std::min<int64_t>(left, 1000)));
    HONE_ASSIGN_OR_RETURN(v1::ListIssuesResponse page,
                          Call(context, c, *c.runs, &RunStub::ListIssues, request));
    for (v1::Issue& issue : *page.mutable_issues()) all.add_issues()->Swap(&issue);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && (flags.limit == 0 || all.issues_size() < flags.limit));
  if (context.output.machine()) {
    context.output.Messages(all, all.issues());
    return kExitOk;
  }
  Table table({"STAGE", "ISSUE", "PROMPT", "EPOCH", "STATE", "STEP", "VERSION", "ATTEMPTS",
               "WORKER", "REASON"});
  for (const v1::Issue& i : all.issues())
    table.Add({i.stage(), absl::StrCat(i.issue()), i.prompt_id(), absl::StrCat(i.epoch()),
               EnumName(v1::IssueState_descriptor(), i.state()), absl::StrCat(i.step()),
               absl::StrCat(i.weights_version()), absl::StrCat(i.attempts()), i.worker_id(),
               i.reason()});
  table.Print(context.output);
  if (!flags.prompt.empty()) {
    for (const v1::Issue& i : all.issues()) {
      context.output.Line("");
      context.output.Line(
          absl::StrCat("issue ", i.issue(), " of prompt ", i.prompt_id(), " in ", i.stage()));
      for (const v1::Issue::Transition& t : i.history())
        context.output.Line(absl::StrCat("  ", Time(t.time()), "  ",
                                         EnumName(v1::IssueState_descriptor(), t.state()),
                                         t.detail().empty() ? "" : "  ", t.detail()));
    }
  }
  if (!request.page_token().empty())
    context.output.Note(absl::StrCat("the first ", all.issues_size(), "; --limit 0 for all"));
  return kExitOk;
}

}  // namespace

void AddRunHistoryCommands(CLI::App& run, Context& context) {
  const auto metrics = std::make_shared<MetricsFlags>();
  CLI::App* command = AddCommand(run, context, "metrics", "what was measured in each step",
                                 [metrics](Context& c) { return Metrics(c, *metrics); });
  command->add_option("run", metrics->run, "id of the run")->required();
  command->add_option("--name", metrics->names, "only this metric; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--all", metrics->all, "every metric");
  command->add_option("--after", metrics->after, "only steps after this one");
  command->add_flag("--follow", metrics->follow, "wait for more until the run ends");

  const auto issues = std::make_shared<IssueFlags>();
  command = AddCommand(run, context, "issues", "the durable life of prompts",
                       [issues](Context& c) { return Issues(c, *issues); });
  command->add_option("run", issues->run, "id of the run")->required();
  command->add_option("--stage", issues->stage, "only of this stage");
  command->add_option("--state", issues->state,
                      "only in this state: leased, committed, assigned, trained, ...");
  command->add_option("--prompt", issues->prompt, "only of this prompt, with its history");
  command->add_option("--limit", issues->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

}  // namespace hone::cli
