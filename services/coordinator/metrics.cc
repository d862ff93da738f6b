#include "services/coordinator/metrics.h"

#include <map>
#include <string>
#include <utility>

namespace hone {
namespace {

using Samples = std::vector<Metrics::Sample>;

Samples Issues(const Buffer& buffer) {
  Samples samples;
  const absl::StatusOr<v1::GetClusterStatusResponse> status = buffer.GetClusterStatus();
  if (!status.ok()) return samples;
  for (const auto& queue : status->queues()) {
    // Evaluations come and go by the hundred: people find them in the API.
    if (queue.stage().rfind("evaluation ", 0) == 0) continue;
    for (const auto& [state, count] : queue.issues())
      samples.push_back({{{"run", queue.run_id()}, {"stage", queue.stage()}, {"state", state}},
                         static_cast<double>(count)});
  }
  return samples;
}

Samples WorkersByRole(const Buffer& buffer) {
  std::map<std::string, int> roles{{"learner", 0}, {"rollout", 0}};
  const absl::StatusOr<v1::GetClusterStatusResponse> status = buffer.GetClusterStatus();
  if (status.ok())
    for (const auto& worker : status->workers()) ++roles[worker.role()];
  Samples samples;
  for (const auto& [role, count] : roles)
    samples.push_back({{{"role", role}}, static_cast<double>(count)});
  return samples;
}

// One sample per run that has not ended.
Samples PerRun(const Buffer& buffer, double (*value)(const v1::Run&)) {
  Samples samples;
  v1::ListRunsRequest request;
  do {
    const absl::StatusOr<v1::ListRunsResponse> page = buffer.ListRuns(request);
    if (!page.ok()) break;
    for (const v1::Run& run : page->runs())
      if (!Ended(run.state())) samples.push_back({{{"run", run.id()}}, value(run)});
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return samples;
}

}  // namespace

std::vector<Metrics::Callback> ExportCoordinator(Metrics& metrics, const Buffer& buffer,
                                                 const LongPolls& polls) {
  std::vector<Metrics::Callback> all;
  const Buffer::Counters& c = buffer.counters();
  auto counter = [&](const char* name, const char* help, const std::atomic<int64_t>& value) {
    all.push_back(metrics.AddCallback(MetricKind::kCounter, name, help,
                                      [&value] { return static_cast<double>(value.load()); }));
  };
  counter("hone_coordinator_leases_total", "Prompts leased to rollout workers.", c.leased);
  counter("hone_coordinator_groups_committed_total", "Groups stored.", c.committed);
  counter("hone_coordinator_groups_duplicate_total", "Repeated commits of a stored group.",
          c.duplicates);
  counter("hone_coordinator_groups_conflicting_total",
          "Groups made twice with different bits under the same weights version: must stay 0.",
          c.conflicts);
  counter("hone_coordinator_leases_returned_total", "Leases handed back or lost by a restart.",
          c.returned);
  counter("hone_coordinator_leases_expired_total", "Leases of silent workers.", c.expired);
  counter("hone_coordinator_issues_dropped_total", "Issues that will never be trained on.",
          c.dropped);
  counter("hone_coordinator_steps_total", "Optimiser steps committed, replays left out.", c.steps);
  all.push_back(metrics.AddCallback(
      MetricKind::kCounter, "hone_coordinator_log_syncs_total", "Syncs of the store's log.",
      [&buffer] { return static_cast<double>(buffer.disk().syncs); }));
  all.push_back(metrics.AddCallback(MetricKind::kCounter, "hone_coordinator_log_sync_seconds_total",
                                    "Time spent in syncs of the store's log.",
                                    [&buffer] { return buffer.disk().sync_seconds; }));
  all.push_back(metrics.AddCallback(MetricKind::kGauge, "hone_coordinator_store_bytes",
                                    "Size of the store's files, log left out.", [&buffer] {
                                      return static_cast<double>(buffer.disk().disk_bytes);
                                    }));
  all.push_back(metrics.AddCallback(MetricKind::kGauge, "hone_coordinator_calls_waiting",
                                    "Calls that wait for work or results.",
                                    [&polls] { return static_cast<double>(polls.waiting()); }));
  all.push_back(metrics.AddCallback(MetricKind::kGauge, "hone_coordinator_issues",
                                    "Issues of open stages by state.",
                                    [&buffer] { return Issues(buffer); }));
  all.push_back(metrics.AddCallback(MetricKind::kGauge, "hone_coordinator_workers",
                                    "Processes that were heard of lately, by role.",
                                    [&buffer] { return WorkersByRole(buffer); }));
  all.push_back(metrics.AddCallback(
      MetricKind::kGauge, "hone_coordinator_run_step", "Newest step of a run.", [&buffer] {
        return PerRun(buffer, [](const v1::Run& r) { return static_cast<double>(r.step()); });
      }));
  all.push_back(metrics.AddCallback(
      MetricKind::kGauge, "hone_coordinator_run_checkpoint_step",
      "Step of a run's newest durable checkpoint; -1: none.", [&buffer] {
        return PerRun(buffer,
                      [](const v1::Run& r) { return static_cast<double>(r.checkpoint_step()); });
      }));
  return all;
}

}  // namespace hone
