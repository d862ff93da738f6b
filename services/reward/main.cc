// hone-reward: scores completions over gRPC. See README.md.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "libs/base/log.h"
#include "libs/base/shutdown.h"
#include "libs/base/status.h"
#include "libs/rpc/server.h"
#include "libs/scorers/scorers.h"
#include "libs/telemetry/admin_server.h"
#include "libs/telemetry/metrics.h"
#include "services/reward/reward_service.h"

namespace hone {
namespace {

struct Flags {
  std::string listen = "127.0.0.1:50053";
  std::string admin = "127.0.0.1:9103";
  int threads = 0;
  int blocking_threads = 128;
  double item_timeout = 300;
  int64_t cache_bytes = 0;
  ScorerResources resources;
  int drain_seconds = 20;
  rpc::ServerTls tls;
};

absl::Status Run(const Flags& flags) {
  ShutdownSignals signals;
  // More than there are cores: items that hang must not cost the others a core.
  const int threads =
      flags.threads > 0 ? flags.threads : 3 + static_cast<int>(std::thread::hardware_concurrency());
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<Scorers> scorers, Scorers::Create(flags.resources));
  Metrics metrics;
  HONE_ASSIGN_OR_RETURN(
      auto admin,
      AdminServer::Start(
          {.listen = flags.admin, .service = "reward", .conditions = {"serving"}, .alive = nullptr},
          metrics));
  Judge::Options judging;
  judging.threads = threads;
  judging.blocking_threads = flags.blocking_threads;
  judging.timeout = Duration(static_cast<int64_t>(flags.item_timeout * 1e9));
  judging.cache_bytes = flags.cache_bytes;
  RewardService service(scorers->registry(), judging, &metrics);
  rpc::ServerOptions options;
  options.listen = flags.listen;
  options.tls = flags.tls;
  options.metrics = &metrics;
  HONE_ASSIGN_OR_RETURN(auto server, rpc::Server::Start(options, {&service}));
  server->SetServing(true);
  admin->SetCondition("serving", absl::OkStatus());
  Log(LogLevel::kInfo, "serving",
      {{"listen", flags.listen},
       {"port", server->port()},
       {"admin_port", admin->port()},
       {"threads", threads},
       {"sandbox", scorers->Describe()}});

  signals.Wait();
  Log(LogLevel::kInfo, "draining", {{"seconds", flags.drain_seconds}});
  admin->SetDraining();
  server->SetServing(false);
  service.Drain();
  server->Shutdown(std::chrono::seconds(flags.drain_seconds));
  // A scorer that does not end would hold up the process for good; its item was answered long ago.
  for (int i = 0; i < 100 && !service.idle(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  if (!service.idle()) {
    Log(LogLevel::kWarning, "stopped; a scorer that does not end was left behind");
    std::_Exit(0);
  }
  Log(LogLevel::kInfo, "stopped");
  return absl::OkStatus();
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  hone::Flags flags;
  CLI::App app("hone-reward: scores completions");
  app.add_option("--listen", flags.listen, "gRPC address, host:port; port 0 picks a free one")
      ->capture_default_str();
  app.add_option("--admin", flags.admin, "address of /metrics, /livez and /readyz, host:port")
      ->capture_default_str();
  app.add_option("--threads", flags.threads,
                 "threads that score by rules; 0: one more than there are cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--blocking-threads", flags.blocking_threads,
                 "threads for items that wait for a sandbox or a server")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--item-timeout", flags.item_timeout,
                 "seconds that an item may take that asks for no other limit")
      ->check(CLI::Range(0.001, hone::RewardFunction::kMaxTimeout))
      ->capture_default_str();
  app.add_option("--cache-bytes", flags.cache_bytes,
                 "memory of remembered verdicts of scorers that wait; 0: off")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--sandbox", flags.resources.sandbox,
                 "scorer code: the least isolation that will do")
      ->check(CLI::IsMember(hone::SandboxChoices()))
      ->capture_default_str();
  app.add_option("--sandbox-slots", flags.resources.sandbox_slots,
                 "programs at once; 0: twice the cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--verifiers", flags.resources.verifiers,
                 "scorers that ask models or Lean: YAML file, see proto/hone/v1/verifiers.proto");
  app.add_option("--drain-seconds", flags.drain_seconds,
                 "how long calls in progress may go on after SIGTERM")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  app.add_option("--tls-cert", flags.tls.cert, "PEM file: the server's certificate chain");
  app.add_option("--tls-key", flags.tls.key, "PEM file: its private key");
  app.add_option("--tls-client-ca", flags.tls.client_ca,
                 "PEM file: authority of client certificates, which are then required");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = hone::Run(flags);
  if (status.ok()) return 0;
  hone::Log(hone::LogLevel::kError, status.ToString());
  return 1;
}
