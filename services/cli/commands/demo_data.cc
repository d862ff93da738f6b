// hone demo-data

#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/reward/countdown_generator.h"
#include "libs/reward/demo_model.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"

namespace hone::cli {
namespace {

struct Flags {
  std::string folder;
  CountdownDataOptions data;
};

absl::StatusOr<int> Write(Context& context, const Flags& flags) {
  HONE_RETURN_IF_ERROR(WriteCountdownData(flags.folder, flags.data));
  const std::string model = absl::StrCat(flags.folder, "/model");
  HONE_RETURN_IF_ERROR(WriteDemoModel(model));
  for (const char* name : {"sft", "rl", "validation", "test"})
    context.output.Line(absl::StrCat(flags.folder, "/", name, ".jsonl"));
  context.output.Line(model);
  return kExitOk;
}

}  // namespace

void AddDemoDataCommand(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, context, "demo-data",
                                 "write the Countdown demo: prompt files and model folder",
                                 [flags](Context& c) { return Write(c, *flags); });
  command->add_option("folder", flags->folder, "where to; made if it is not there")->required();
  command->add_option("--seed", flags->data.seed, "another seed, other puzzles")
      ->capture_default_str();
}

}  // namespace hone::cli
