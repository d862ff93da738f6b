#pragma once

// What every command of `hone` has at hand.

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/client_context.h"
#include "libs/base/clock.h"
#include "libs/rpc/channel.h"
#include "proto/hone/v1/prompt.grpc.pb.h"
#include "proto/hone/v1/run.grpc.pb.h"
#include "services/cli/output.h"

namespace CLI {
class App;
}

namespace hone {
struct ScorerResources;
}

namespace hone::cli {

struct RewardFlags;

// A connection to the coordinator, opened by the first call.
struct Coordinator {
  std::string peer;  // for errors: "coordinator at 127.0.0.1:50051"
  std::unique_ptr<v1::RunService::Stub> runs;
  std::unique_ptr<v1::PromptSetService::Stub> prompts;
};

struct Context {
  explicit Context(Output& o) : output(o) {}

  Output& output;
  std::string coordinator = "127.0.0.1:50051";
  rpc::ClientTls tls;
  Duration timeout = std::chrono::seconds(30);
  // Set by the callback of the subcommand that was given; run after parsing.
  std::function<absl::StatusOr<int>(Context&)> action;

  absl::StatusOr<Coordinator> Connect() const;
};

// One unary call within the command's time limit:
//   HONE_ASSIGN_OR_RETURN(v1::GetRunResponse got, Call(context, c, *c.runs, &RunStub::GetRun, q));
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const Context& context, const Coordinator& coordinator, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request) {
  grpc::ClientContext call;
  rpc::PrepareCall(call, context.timeout);
  Response response;
  const grpc::Status status = (stub.*method)(&call, request, &response);
  if (!status.ok()) return rpc::FromCall(status, coordinator.peer);
  return response;
}

using RunStub = v1::RunService::Stub;
using PromptStub = v1::PromptSetService::Stub;

// Adds `hone <name>` with what it does.
using Action = std::function<absl::StatusOr<int>(Context&)>;
CLI::App* AddCommand(CLI::App& parent, Context& context, const std::string& name,
                     const std::string& description, Action action);

// The commands, one function per file of commands/.
void AddConfigCommands(CLI::App& app, Context& context);
void AddDeviceOption(CLI::App& command, v1::Device& device);  // --device
void AddDemoDataCommand(CLI::App& app, Context& context);
void AddEvalCommand(CLI::App& app, Context& context);
void AddModelCommands(CLI::App& app, Context& context);
void AddPromptsCommands(CLI::App& app, Context& context);
void AddRunCommands(CLI::App& app, Context& context);
void AddRunHistoryCommands(CLI::App& run, Context& context);  // metrics, issues
void AddReportCommand(CLI::App& app, Context& context);
void AddRewardOptions(CLI::App& command, RewardFlags& flags);  // --scorer, --reward-of, and
void AddResourceOptions(CLI::App& command, ScorerResources& resources);  // --sandbox, --verifiers
void AddSamplesCommand(CLI::App& app, Context& context);
void AddScoreCommand(CLI::App& app, Context& context);
void AddStatusCommand(CLI::App& app, Context& context);
void AddUpCommands(CLI::App& app, Context& context);

}  // namespace hone::cli
