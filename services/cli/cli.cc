#include "services/cli/cli.h"

#include <map>
#include <sstream>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/base/status.h"
#include "libs/config/suggest.h"
#include "libs/telemetry/version.h"
#include "services/cli/context.h"

namespace hone::cli {
namespace {

// The first argument that is no command or option; all empty when there is none.
struct Misspelt {
  std::string word;   // for people: "command \"stauts\""
  std::string meant;  // what it was most likely meant to be, or ""
};
Misspelt FindMisspelt(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* at = &app;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.size() > 1 && argument[0] == '-') {
      const std::string name = argument.substr(0, argument.find('='));
      std::vector<std::string> known;
      const CLI::Option* given = nullptr;
      for (const CLI::App* a = at; a != nullptr && given == nullptr; a = a->get_parent())
        for (const CLI::Option* option : a->get_options()) {
          if (option->check_name(name)) given = option;
          for (const std::string& l : option->get_lnames()) known.push_back(l);
        }
      if (given == nullptr && name[1] == '-') {
        const std::string near = Closest(name.substr(2), known);
        return {absl::StrCat("option ", name), near.empty() ? "" : "--" + near};
      }
      // Its value is no command.
      if (given != nullptr && given->get_type_size() > 0 && name == argument) ++i;
      continue;
    }
    const auto children = at->get_subcommands([](const CLI::App*) { return true; });
    if (argument.empty() || children.empty()) continue;
    std::vector<std::string> known;
    const CLI::App* next = nullptr;
    for (const CLI::App* child : children) {
      known.push_back(child->get_name());
      if (child->get_name() == argument) next = child;
    }
    if (next == nullptr)
      return {absl::StrCat("command \"", argument, "\""), Closest(argument, known)};
    at = next;
  }
  return {};
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kExitUnavailable;
    default:
      return kExitError;
  }
}

bool ParseTimeout(const std::string& text, Duration* timeout) {
  double seconds = 0;
  absl::Duration parsed;
  if (absl::ParseDuration(text, &parsed))
    seconds = absl::ToDoubleSeconds(parsed);
  else if (!absl::SimpleAtod(text, &seconds))
    return false;
  if (!(seconds > 0 && seconds <= 86400)) return false;
  *timeout = Duration(static_cast<int64_t>(seconds * 1e9));
  return true;
}

absl::StatusOr<int> ShowVersion(Context& context) {
  const BuildVersion& v = Version();
  if (context.output.machine()) {
    // Their characters need no escapes.
    context.output.Line(absl::StrCat("{\"version\":\"", v.version, "\",\"commit\":\"", v.commit,
                                     "\",\"buildType\":\"", v.build_type, "\",\"compiler\":\"",
                                     v.compiler, "\"}"));
  } else {
    context.output.Line(absl::StrCat("hone ", v.version, " (", v.commit, ", ", v.build_type, ", ",
                                     v.compiler, ")"));
  }
  return kExitOk;
}

}  // namespace

absl::StatusOr<Coordinator> Context::Connect() const {
  rpc::ChannelOptions options;
  options.tls = tls;
  options.max_receive_bytes = 64 << 20;
  HONE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                        rpc::MakeChannel(coordinator, options));
  Coordinator c;
  c.peer = absl::StrCat("coordinator at ", coordinator);
  c.runs = v1::RunService::NewStub(channel);
  c.prompts = v1::PromptSetService::NewStub(channel);
  return c;
}

CLI::App* AddCommand(CLI::App& parent, Context& context, const std::string& name,
                     const std::string& description, Action action) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->callback([&context, action = std::move(action)] { context.action = action; });
  return command;
}

void AddDeviceOption(CLI::App& command, v1::Device& device) {
  command.add_option("--device", device, "what computes: auto, cpu or cuda")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, v1::Device>{
              {"auto", v1::DEVICE_AUTO}, {"cpu", v1::DEVICE_CPU}, {"cuda", v1::DEVICE_CUDA}},
          CLI::ignore_case))
      ->default_str("auto");
}

int Main(const std::vector<std::string>& arguments, Output& output) {
  Context context(output);
  CLI::App app("Hone: reinforcement learning of language models from verifiable rewards.", "hone");
  app.require_subcommand(1);
  app.fallthrough();  // global options may stand anywhere
  app.set_version_flag("--version", [] { return "hone " + Version().version; });
  std::string timeout = "30s";
  app.add_option("--coordinator", context.coordinator, "address of the coordinator, host:port")
      ->envname("HONE_COORDINATOR")
      ->capture_default_str();
  app.add_option("--timeout", timeout, "limit of each call: seconds, or 500ms, 2m")
      ->capture_default_str();
  app.add_option("-o,--output", output.format, "table, json or jsonl (proto3 JSON)")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Format>{
          {"table", Format::kTable}, {"json", Format::kJson}, {"jsonl", Format::kJsonLines}}));
  app.add_flag("--tls", context.tls.enabled, "use TLS towards the coordinator");
  app.add_option("--tls-ca", context.tls.ca, "PEM file: authority of its certificate");
  app.add_option("--tls-cert", context.tls.cert, "PEM file: own certificate, if it asks for one");
  app.add_option("--tls-key", context.tls.key, "PEM file: key of the own certificate");
  AddUpCommands(app, context);
  AddDemoDataCommand(app, context);
  AddModelCommands(app, context);
  AddPromptsCommands(app, context);
  AddRunCommands(app, context);
  AddSamplesCommand(app, context);
  AddReportCommand(app, context);
  AddScoreCommand(app, context);
  AddEvalCommand(app, context);
  AddStatusCommand(app, context);
  AddConfigCommands(app, context);
  AddCommand(app, context, "version", "which build this is", ShowVersion);

  try {
    // CLI11 takes them from the back.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    if (app.exit(error, out, err) == 0) {  // --help, --version
      output.Line(absl::StripTrailingAsciiWhitespace(out.str()));
      return kExitOk;
    }
    const Misspelt wrong = FindMisspelt(app, arguments);
    output.Note(wrong.word.empty() ? absl::StrCat("error: ", error.what())
                                   : absl::StrCat("error: unknown ", wrong.word));
    if (!wrong.meant.empty()) output.Note(absl::StrCat("did you mean \"", wrong.meant, "\"?"));
    output.Note("run with --help for more");
    return kExitUsage;
  }
  if (!ParseTimeout(timeout, &context.timeout)) {
    output.Note(absl::StrCat("error: --timeout ", timeout,
                             ": expected seconds, or a time such as 500ms, up to 24h"));
    return kExitUsage;
  }
  const absl::StatusOr<int> code = context.action(context);
  if (code.ok()) return *code;
  output.Error(code.status());
  return ExitCodeOf(code.status());
}

}  // namespace hone::cli
