// hone run create | list | get | watch | pause | resume | cancel

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/config/config.h"
#include "libs/config/run_file.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"
#include "services/cli/watch.h"

namespace hone::cli {
namespace {

std::string StateName(const v1::Run& run) {
  return EnumName(v1::RunState_descriptor(), run.state());
}

struct CreateFlags {
  std::string file;
  std::vector<std::string> overrides;
  std::string id;
  bool watch = false;
  bool validate_only = false;
};

absl::StatusOr<int> Create(Context& context, const CreateFlags& flags) {
  v1::CreateRunRequest request;
  HONE_ASSIGN_OR_RETURN(*request.mutable_spec(), LoadRunSpec(flags.file, flags.overrides));
  request.set_run_id(flags.id);
  request.set_validate_only(flags.validate_only);
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  HONE_ASSIGN_OR_RETURN(const v1::CreateRunResponse created,
                        Call(context, c, *c.runs, &RunStub::CreateRun, request));
  if (flags.validate_only) {
    context.output.Note(absl::StrCat(flags.file, ": the coordinator would take this run"));
    return kExitOk;
  }
  const std::string& id = created.run().id();
  if (flags.watch) {
    context.output.Note(absl::StrCat("created run ", id, "; Ctrl-C stops watching, not the run"));
    return WatchRun(context, id, /*from_start=*/true);
  }
  if (context.output.machine()) {
    context.output.Message(created.run());
  } else {
    context.output.Line(id);
    context.output.Note(absl::StrCat("created; `hone run watch ", id, "` shows it"));
  }
  return kExitOk;
}

absl::StatusOr<int> List(Context& context, int limit) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  v1::ListRunsResponse all;
  v1::ListRunsRequest request;
  do {
    HONE_ASSIGN_OR_RETURN(v1::ListRunsResponse page,
                          Call(context, c, *c.runs, &RunStub::ListRuns, request));
    for (v1::Run& run : *page.mutable_runs())
      if (limit == 0 || all.runs_size() < limit) all.add_runs()->Swap(&run);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && (limit == 0 || all.runs_size() < limit));
  if (context.output.machine()) {
    context.output.Messages(all, all.runs());
    return kExitOk;
  }
  Table table({"RUN", "STATE", "STAGE", "PROGRESS", "STEP", "CREATED", "MESSAGE"});
  for (const v1::Run& run : all.runs())
    table.Add({run.id(), StateName(run), run.stage(),
               absl::StrCat(run.stage_step(), "/", run.stage_steps()), absl::StrCat(run.step()),
               Time(run.create_time()), run.message()});
  table.Print(context.output);
  return kExitOk;
}

void Show(Output& output, const v1::Run& run) {
  Table table({"FIELD", "VALUE"});
  table.Add({"run", run.id()});
  table.Add({"state", StateName(run)});
  if (!run.message().empty()) table.Add({"message", run.message()});
  table.Add({"stage", absl::StrCat(run.stage(), " ", run.stage_step(), "/", run.stage_steps())});
  table.Add({"step", absl::StrCat(run.step())});
  table.Add({"checkpoint",
             run.checkpoint_step() < 0
                 ? std::string("none")
                 : absl::StrCat(run.checkpoint_path(), " (step ", run.checkpoint_step(), ")")});
  table.Add({"model", run.spec().model().path()});
  table.Add({"created", Time(run.create_time())});
  if (run.has_end_time()) table.Add({"ended", Time(run.end_time())});
  table.Print(output);
}

absl::StatusOr<int> Get(Context& context, const std::string& id, bool spec) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  v1::GetRunRequest request;
  request.set_run_id(id);
  HONE_ASSIGN_OR_RETURN(const v1::GetRunResponse got,
                        Call(context, c, *c.runs, &RunStub::GetRun, request));
  if (context.output.machine()) {
    context.output.Message(got.run());
    return kExitOk;
  }
  if (spec) {
    context.output.Line(ToYaml(got.run().spec()));
    return kExitOk;
  }
  Show(context.output, got.run());
  v1::ListEvaluationsRequest list;
  list.set_run_id(id);
  HONE_ASSIGN_OR_RETURN(const v1::ListEvaluationsResponse evaluations,
                        Call(context, c, *c.runs, &RunStub::ListEvaluations, list));
  if (evaluations.evaluations_size() > 0) {
    context.output.Line("");
    PrintEvaluations(context.output, evaluations.evaluations());
  }
  return kExitOk;
}

// pause, resume and cancel differ in their names only.
template <typename Request, typename Response>
absl::StatusOr<int> Change(Context& context, const std::string& id,
                           grpc::Status (RunStub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*)) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  Request request;
  request.set_run_id(id);
  HONE_ASSIGN_OR_RETURN(const Response changed, Call(context, c, *c.runs, method, request));
  if (context.output.machine())
    context.output.Message(changed.run());
  else
    context.output.Line(absl::StrCat("run ", id, " is ", StateName(changed.run())));
  return kExitOk;
}

}  // namespace

void AddRunCommands(CLI::App& app, Context& context) {
  CLI::App* run = app.add_subcommand("run", "create, watch and control runs");
  run->require_subcommand(1);

  const auto create = std::make_shared<CreateFlags>();
  CLI::App* command = AddCommand(*run, context, "create", "start a run from a run file",
                                 [create](Context& c) { return Create(c, *create); });
  command->add_option("-f,--file", create->file, "the run file (YAML)")->required();
  command->add_option("--set", create->overrides, "override a value: stages.1.grpo.steps=3")
      ->allow_extra_args(false);
  command->add_option("--id", create->id, "name of the run; default: derived from its `name`");
  command->add_flag("--watch", create->watch, "go on like `hone run watch`");
  command->add_flag("--validate-only", create->validate_only, "only ask whether it would be taken");

  const auto limit = std::make_shared<int>(50);
  command = AddCommand(*run, context, "list", "runs, newest first",
                       [limit](Context& c) { return List(c, *limit); });
  command->add_option("--limit", *limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();

  const auto id = std::make_shared<std::string>();
  const auto flag = std::make_shared<bool>(false);
  const auto named = [&](const std::string& name, const std::string& what, Action action) {
    CLI::App* added = AddCommand(*run, context, name, what, std::move(action));
    added->add_option("run", *id, "id of the run")->required();
    return added;
  };
  named("get", "state, checkpoint and evaluations of a run", [id, flag](Context& c) {
    return Get(c, *id, *flag);
  })->add_flag("--spec", *flag, "only its effective run file");
  named("watch", "show a run until it ends", [id, flag](Context& c) {
    return WatchRun(c, *id, *flag);
  })->add_flag("--from-start", *flag, "also what happened before");
  named("pause", "stop leasing prompts; what is in flight is finished",
        [id](Context& c) { return Change(c, *id, &RunStub::PauseRun); });
  named("resume", "go on with a paused run",
        [id](Context& c) { return Change(c, *id, &RunStub::ResumeRun); });
  named("cancel", "end a run; checkpoints and trajectories stay",
        [id](Context& c) { return Change(c, *id, &RunStub::CancelRun); });
  AddRunHistoryCommands(*run, context);
}

}  // namespace hone::cli
