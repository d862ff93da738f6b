// hone config validate | show

#include "libs/config/config.h"

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/config/run_file.h"
#include "libs/model/load.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"
#include "services/cli/memory_report.h"

namespace hone::cli {
namespace {

struct Flags {
  std::string file;
  std::vector<std::string> overrides;
};

absl::StatusOr<int> Validate(Context& context, const Flags& flags) {
  HONE_ASSIGN_OR_RETURN(const v1::RunSpec spec, LoadRunSpec(flags.file, flags.overrides));
  const absl::StatusOr<ModelConfig> model = LoadModelConfig(spec.model().path());
  // The folder may be on the machines that will run it only; a broken one is an error.
  if (!model.ok() && !absl::IsNotFound(model.status())) return model.status();
  const v1::RunPlan plan = PlanOf(spec, model.ok() ? &*model : nullptr);
  if (context.output.machine())
    context.output.Message(plan);
  else
    PrintPlan(context.output, plan);
  if (!model.ok())
    context.output.Note(absl::StrCat("no figures for memory: ", spec.model().path(),
                                     "/config.json is not on this machine"));
  context.output.Note(absl::StrCat(flags.file, ": a valid run file"));
  return kExitOk;
}

absl::StatusOr<int> Show(Context& context, const Flags& flags) {
  HONE_ASSIGN_OR_RETURN(const v1::RunSpec spec, LoadRunSpec(flags.file, flags.overrides));
  if (context.output.machine())
    context.output.Message(spec);
  else
    context.output.Line(ToYaml(spec));
  return kExitOk;
}

}  // namespace

void AddConfigCommands(CLI::App& app, Context& context) {
  CLI::App* config = app.add_subcommand("config", "check and show run files");
  config->require_subcommand(1);
  const auto flags = std::make_shared<Flags>();
  const auto add = [&](const std::string& name, const std::string& what, Action action) {
    CLI::App* command = AddCommand(*config, context, name, what, std::move(action));
    command->add_option("file", flags->file, "the run file (YAML)")->required();
    command->add_option("--set", flags->overrides, "override a value: stages.1.grpo.steps=3")
        ->allow_extra_args(false);
  };
  add("validate", "check a run file without a coordinator",
      [flags](Context& c) { return Validate(c, *flags); });
  add("show", "the effective run file, with all defaults",
      [flags](Context& c) { return Show(c, *flags); });
}

}  // namespace hone::cli
