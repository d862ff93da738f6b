// hone-rollout: generates completions for the run that the coordinator assigns. See README.md.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "libs/base/log.h"
#include "libs/base/shutdown.h"
#include "libs/base/status.h"
#include "libs/clients/coordinator_client.h"
#include "libs/clients/reward_client.h"
#include "libs/clients/weights_client.h"
#include "libs/loop/rollout_loop.h"
#include "libs/rpc/grpc_log.h"
#include "libs/rpc/server.h"
#include "libs/telemetry/admin_server.h"
#include "libs/telemetry/metrics.h"
#include "services/rollout/rollout_options.h"
#include "services/rollout/rollout_service.h"

namespace hone {
namespace {

struct Flags {
  std::string listen = "127.0.0.1:50052";
  std::string admin = "127.0.0.1:9102";
  std::string coordinator = "127.0.0.1:50051";
  std::string reward = "127.0.0.1:50053";
  std::string id = "rollout-0";
  RolloutLoop::Options loop;
  rpc::ServerTls tls;
  rpc::ClientTls client_tls;
};

absl::Status Run(Flags flags) {
  ShutdownSignals signals;
  SetLogService("rollout");
  rpc::UseHoneLogInGrpc();
  std::atomic<bool> stopping{false};
  std::random_device random;
  flags.loop.worker_id = flags.id;
  flags.loop.incarnation = uint64_t{random()} << 32 | random();
  if (flags.loop.threads == 0)
    flags.loop.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  Metrics metrics;
  HONE_ASSIGN_OR_RETURN(auto admin, AdminServer::Start({.listen = flags.admin,
                                                        .service = "rollout",
                                                        .conditions = {"serving"},
                                                        .alive = nullptr},
                                                       metrics));
  HONE_ASSIGN_OR_RETURN(const auto coordinator,
                        CoordinatorClient::Create(flags.coordinator, flags.client_tls,
                                                  [&] { return stopping.load(); }));
  HONE_ASSIGN_OR_RETURN(auto reward, RewardClient::Create(flags.reward, flags.client_tls));
  auto weights = std::make_unique<WeightsClient>(flags.id, flags.client_tls, &metrics);
  RolloutLoop loop(flags.loop, *coordinator, *reward, *coordinator, *weights, &metrics);
  RolloutService service(flags.id, loop);
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
       {"threads", flags.loop.threads}});

  absl::Status status;
  std::thread worker([&] {
    status = loop.Run();
    if (!status.ok()) Log(LogLevel::kError, status.ToString());
    ShutdownSignals::Request();
  });
  signals.Wait();
  Log(LogLevel::kInfo, "draining");
  admin->SetDraining();
  server->SetServing(false);
  // What is half generated is handed back: another worker makes the same bits of it.
  loop.Stop(/*drain=*/false);
  std::thread impatient([&] {
    // A coordinator that is away would keep commits waiting for ever.
    for (int i = 0; i < 100 && !stopping; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stopping = true;
    reward->Close();
  });
  worker.join();
  stopping = true;
  impatient.join();
  weights.reset();
  server->Shutdown(std::chrono::seconds(5));
  Log(LogLevel::kInfo, "stopped");
  return status;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  hone::Flags flags;
  flags.loop.threads = 0;
  CLI::App app("hone-rollout: generates completions and has them scored");
  app.add_option("--listen", flags.listen, "gRPC address, host:port")->capture_default_str();
  app.add_option("--admin", flags.admin, "address of /metrics, /livez and /readyz, host:port")
      ->capture_default_str();
  app.add_option("--coordinator", flags.coordinator, "address of the coordinator, host:port")
      ->capture_default_str();
  app.add_option("--reward", flags.reward, "address of the reward service, host:port")
      ->capture_default_str();
  app.add_option("--id", flags.id, "name of this worker, the same after a restart")
      ->capture_default_str();
  app.add_option("--threads", flags.loop.threads, "threads that generate; 0: one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  AddRolloutOptions(app, flags.loop);
  app.add_option("--tls-cert", flags.tls.cert, "PEM file: the server's certificate chain");
  app.add_option("--tls-key", flags.tls.key, "PEM file: its private key");
  app.add_option("--tls-client-ca", flags.tls.client_ca,
                 "PEM file: authority of client certificates, which are then required");
  app.add_flag("--tls", flags.client_tls.enabled, "use TLS towards the other services");
  app.add_option("--tls-ca", flags.client_tls.ca, "PEM file: authority of their certificates");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = hone::Run(flags);
  if (status.ok()) return 0;
  hone::Log(hone::LogLevel::kError, status.ToString());
  return 1;
}
