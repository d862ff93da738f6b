// hone status

#include "libs/base/status.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/rpc/retry.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"

namespace hone::cli {
namespace {

// Waits until there is somebody to generate and somebody to train.
absl::Status WaitForWorkers(const Context& context, const Coordinator& c, double seconds) {
  const TimePoint give_up =
      SystemClock::Get().Now() + Duration(static_cast<int64_t>(seconds * 1e9));
  while (true) {
    bool rollout = false, learner = false;
    const auto cluster =
        Call(context, c, *c.runs, &RunStub::GetClusterStatus, v1::GetClusterStatusRequest());
    if (cluster.ok()) {
      for (const auto& w : cluster->workers()) {
        rollout = rollout || w.role() == "rollout";
        learner = learner || w.role() == "learner";
      }
    } else if (!rpc::IsRetryable(cluster.status())) {
      return cluster.status();
    }
    if (rollout && learner) return absl::OkStatus();
    if (SystemClock::Get().Now() > give_up)
      return cluster.ok()
                 ? absl::UnavailableError(absl::StrCat("after ", seconds, " s there is no ",
                                                       rollout   ? "learner"
                                                       : learner ? "rollout worker"
                                                                 : "worker"))
                 : cluster.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

absl::StatusOr<int> Status(Context& context, double wait) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  if (wait > 0) HONE_RETURN_IF_ERROR(WaitForWorkers(context, c, wait));
  HONE_ASSIGN_OR_RETURN(
      const v1::GetClusterStatusResponse cluster,
      Call(context, c, *c.runs, &RunStub::GetClusterStatus, v1::GetClusterStatusRequest()));
  if (context.output.machine()) {
    context.output.Message(cluster);
    return kExitOk;
  }
  HONE_ASSIGN_OR_RETURN(const v1::ListRunsResponse runs,
                        Call(context, c, *c.runs, &RunStub::ListRuns, v1::ListRunsRequest()));
  context.output.Line(
      absl::StrCat("coordinator ", context.coordinator, "  version ", cluster.version()));
  context.output.Line("");
  Table workers({"WORKER", "ROLE", "RUN", "WEIGHTS", "LEASES", "LAST HEARD"});
  for (const auto& w : cluster.workers())
    workers.Add({w.id(), w.role(), w.run_id().empty() ? "(idle)" : w.run_id(),
                 w.weights_version() < 0 ? "-" : absl::StrCat(w.weights_version()),
                 absl::StrCat(w.leases()), absl::StrCat(Elapsed(w.idle_seconds()), " ago")});
  if (workers.empty())
    context.output.Line("no workers: nothing will be generated or trained");
  else
    workers.Print(context.output);
  if (runs.runs_size() > 0) {
    context.output.Line("");
    Table table({"RUN", "STATE", "STAGE", "PROGRESS", "STEP", "MESSAGE"});
    for (const v1::Run& run : runs.runs())
      table.Add({run.id(), EnumName(v1::RunState_descriptor(), run.state()), run.stage(),
                 absl::StrCat(run.stage_step(), "/", run.stage_steps()), absl::StrCat(run.step()),
                 run.message()});
    table.Print(context.output);
  }
  if (cluster.queues_size() > 0) {
    context.output.Line("");
    Table table({"RUN", "QUEUE", "READY", "LEASED", "COMMITTED", "ASSIGNED", "TRAINED", "COVERED",
                 "DROPPED"});
    for (const auto& q : cluster.queues()) {
      const auto count = [&](const char* state) {
        const auto it = q.issues().find(state);
        return absl::StrCat(it == q.issues().end() ? 0 : it->second);
      };
      table.Add({q.run_id(), q.stage(), count("ready"), count("leased"), count("committed"),
                 count("assigned"), count("trained"), count("covered"), count("dropped")});
    }
    table.Print(context.output);
  }
  return kExitOk;
}

}  // namespace

void AddStatusCommand(CLI::App& app, Context& context) {
  const auto wait = std::make_shared<double>(0);
  AddCommand(app, context, "status", "workers, runs and queues",
             [wait](Context& c) { return Status(c, *wait); })
      ->add_option("--wait", *wait,
                   "seconds to wait for the coordinator, a learner and a rollout worker")
      ->check(CLI::NonNegativeNumber);
}

}  // namespace hone::cli
