// hone-coordinator: runs, prompt sets, leases, groups and batches, kept in one folder.

#include <cstdio>
#include <string>

#include "CLI/CLI.hpp"
#include "libs/base/log.h"
#include "libs/base/periodic.h"
#include "libs/base/shutdown.h"
#include "libs/base/status.h"
#include "libs/buffer/buffer.h"
#include "libs/rpc/grpc_log.h"
#include "libs/rpc/server.h"
#include "libs/telemetry/admin_server.h"
#include "libs/telemetry/version.h"
#include "services/coordinator/coordinator_service.h"
#include "services/coordinator/metrics.h"
#include "services/coordinator/prompt_set_service.h"
#include "services/coordinator/run_service.h"

namespace hone {
namespace {

struct Flags {
  std::string listen = "127.0.0.1:50051";
  std::string admin = "127.0.0.1:9464";
  std::string data;
  std::string fsync = "on";
  int64_t lease_seconds = 30;
  int64_t max_attempts = 0;
  int64_t drain_seconds = 10;
  rpc::ServerTls tls;
};

absl::Status Serve(const Flags& flags, ShutdownSignals& signals) {
  Metrics metrics;
  AdminOptions admin_options;
  admin_options.listen = flags.admin;
  admin_options.service = "coordinator";
  admin_options.conditions = {"store"};
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<AdminServer> admin,
                        AdminServer::Start(admin_options, metrics));
  BufferOptions options;
  options.path = flags.data;
  options.fsync = flags.fsync == "on";
  options.lease_seconds = flags.lease_seconds;
  options.max_attempts = flags.max_attempts;
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<Buffer> buffer, Buffer::Open(options));
  LongPolls polls;
  buffer->OnChange([&polls](Topics topics) { polls.Notify(topics); });
  const std::vector<Metrics::Callback> exported = ExportCoordinator(metrics, *buffer, polls);
  CoordinatorService coordinator(*buffer, polls);
  RunService runs(*buffer, polls, Version().version);
  PromptSetService prompt_sets(*buffer);
  rpc::ServerOptions server_options;
  server_options.listen = flags.listen;
  server_options.tls = flags.tls;
  server_options.metrics = &metrics;
  // A group of long completions is one message.
  server_options.max_receive_bytes = 64 << 20;
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<rpc::Server> server,
                        rpc::Server::Start(server_options, {&coordinator, &runs, &prompt_sets}));
  Periodic ticker("tick", std::chrono::seconds(1), [&buffer] {
    if (absl::Status s = buffer->Tick(); !s.ok())
      Log(LogLevel::kError, "tick failed", {{"error", s.ToString()}});
    // Full disk, say: only opening the folder again helps, which the supervisor's restart does.
    if (!buffer->health().ok()) ShutdownSignals::Request();
  });
  server->SetServing(true);
  admin->SetCondition("store", absl::OkStatus());
  Log(LogLevel::kInfo, "serving",
      {{"port", server->port()}, {"admin_port", admin->port()}, {"data", flags.data}});

  signals.Wait();
  Log(LogLevel::kInfo, "draining");
  admin->SetDraining();
  server->SetServing(false);
  polls.Stop();
  server->Shutdown(std::chrono::seconds(flags.drain_seconds));
  ticker.Stop();
  return buffer->Sync();
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  hone::ShutdownSignals signals;
  hone::Flags flags;
  CLI::App app("Hone's coordinator: runs, prompt sets, leases and the trajectory buffer.",
               "hone-coordinator");
  app.add_option("--listen", flags.listen,
                 "host:port of the gRPC services; port 0 picks a free one")
      ->capture_default_str();
  app.add_option("--admin", flags.admin, "host:port of /metrics and the probes")
      ->capture_default_str();
  app.add_option("--data", flags.data, "folder of the store; made if absent")->required();
  app.add_option("--fsync", flags.fsync,
                 "on: answers wait for the disk; off: only a crash of the machine can lose some")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  app.add_option("--lease-seconds", flags.lease_seconds,
                 "a worker that is silent for so long loses its leases")
      ->check(CLI::Range(int64_t{1}, int64_t{86400}))
      ->capture_default_str();
  app.add_option("--max-attempts", flags.max_attempts,
                 "a prompt that lost so many leases is dropped; 0: never")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--drain-seconds", flags.drain_seconds, "time for calls in progress on SIGTERM")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--tls-cert", flags.tls.cert, "PEM certificate chain; empty: no TLS");
  app.add_option("--tls-key", flags.tls.key, "PEM key");
  app.add_option("--tls-client-ca", flags.tls.client_ca,
                 "PEM authorities; clients must have a certificate of theirs");
  app.set_version_flag("--version", [] { return hone::Version().version; });
  CLI11_PARSE(app, argc, argv);
  hone::SetLogService("coordinator");
  hone::rpc::UseHoneLogInGrpc();
  const absl::Status status = hone::Serve(flags, signals);
  if (status.ok()) return 0;
  hone::Log(hone::LogLevel::kError, "cannot go on", {{"error", status.ToString()}});
  return 1;
}
