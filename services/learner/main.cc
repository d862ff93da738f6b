// hone-learner: trains the runs that the coordinator gives it and serves their weights. See
// README.md.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/shutdown.h"
#include "libs/base/status.h"
#include "libs/clients/coordinator_client.h"
#include "libs/clients/reward_client.h"
#include "libs/clients/weights_client.h"
#include "libs/loop/colocated_weights.h"
#include "libs/loop/learner_loop.h"
#include "libs/loop/rollout_loop.h"
#include "libs/rpc/grpc_log.h"
#include "libs/rpc/server.h"
#include "libs/telemetry/admin_server.h"
#include "libs/telemetry/metrics.h"
#include "services/learner/learner_service.h"
#include "services/learner/weights_service.h"
#include "services/rollout/rollout_options.h"
#include "services/rollout/rollout_service.h"

namespace hone {
namespace {

struct Flags {
  std::string listen = "127.0.0.1:50054";
  std::string admin = "127.0.0.1:9104";
  std::string advertise;
  std::string coordinator = "127.0.0.1:50051";
  std::string id = "learner-0";
  int threads = 0;
  bool colocate = false;
  std::string reward = "127.0.0.1:50053";
  RolloutLoop::Options rollout;
  rpc::ServerTls tls;
  rpc::ClientTls client_tls;
};

// The loop's weights go to whoever subscribed on this process' port.
class PublisherSink final : public WeightsSink {
 public:
  // `eager`: every version is there for those who come later. Else copies begin when somebody came:
  // with a worker in this process nobody else may ever ask.
  PublisherSink(Publisher& publisher, bool eager) : publisher_(publisher), eager_(eager) {}
  void Publish(const WeightsVersion& v) override {
    if (eager_ || publisher_.followed()) publisher_.Publish(v);
  }

 private:
  Publisher& publisher_;
  const bool eager_;
};

// The worker in the learner's process.
struct Worker {
  static absl::StatusOr<std::unique_ptr<Worker>> Create(const Flags& flags,
                                                        RolloutLoop::Options options,
                                                        CoordinatorClient& coordinator,
                                                        WeightsSource& weights, Metrics& metrics) {
    auto worker = std::make_unique<Worker>();
    HONE_ASSIGN_OR_RETURN(worker->reward, RewardClient::Create(flags.reward, flags.client_tls));
    worker->loop = std::make_unique<RolloutLoop>(options, coordinator, *worker->reward, coordinator,
                                                 weights, &metrics);
    worker->service = std::make_unique<RolloutService>(flags.id, *worker->loop);
    return worker;
  }

  std::unique_ptr<RewardClient> reward;
  std::unique_ptr<RolloutLoop> loop;
  std::unique_ptr<RolloutService> service;
};

absl::Status Run(Flags flags) {
  ShutdownSignals signals;
  SetLogService("learner");
  rpc::UseHoneLogInGrpc();
  std::atomic<bool> stopping{false};
  const int threads = flags.threads > 0
                          ? flags.threads
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  Metrics metrics;
  HONE_ASSIGN_OR_RETURN(auto admin, AdminServer::Start({.listen = flags.admin,
                                                        .service = "learner",
                                                        .conditions = {"serving"},
                                                        .alive = nullptr},
                                                       metrics));
  HONE_ASSIGN_OR_RETURN(const auto coordinator,
                        CoordinatorClient::Create(flags.coordinator, flags.client_tls,
                                                  [&] { return stopping.load(); }));
  Publisher publisher;
  PublisherSink sink(publisher, /*eager=*/!flags.colocate);
  WeightsService weights(publisher, &metrics);
  std::random_device random;
  LearnerLoop::Options options{.learner_id = flags.id,
                               .incarnation = uint64_t{random()} << 32 | random(),
                               .threads = threads};
  // The loop needs the port, the status service the loop: the address is known once the port is.
  rpc::ServerOptions server_options;
  server_options.listen = flags.listen;
  server_options.tls = flags.tls;
  server_options.metrics = &metrics;
  options.weights_address = flags.advertise.empty() ? flags.listen : flags.advertise;
  WeightsClient remote(flags.id, flags.client_tls, &metrics);
  ColocatedWeights colocated(
      options.weights_address, remote, sink,
      metrics.AddCounter("hone_learner_weights_copies_total",
                         "Versions copied for the worker in this process, which still used them."));
  std::unique_ptr<Worker> worker;
  if (flags.colocate) {
    flags.rollout.worker_id = flags.id;
    flags.rollout.incarnation = options.incarnation;
    flags.rollout.threads = threads;
    HONE_ASSIGN_OR_RETURN(worker,
                          Worker::Create(flags, flags.rollout, *coordinator, colocated, metrics));
  }
  LearnerLoop loop(options, *coordinator,
                   flags.colocate ? static_cast<WeightsSink&>(colocated) : sink, &metrics);
  LearnerService service(flags.id, loop);
  std::vector<grpc::Service*> services = {&weights, &service};
  if (worker != nullptr) services.push_back(worker->service.get());
  HONE_ASSIGN_OR_RETURN(auto server, rpc::Server::Start(server_options, services));
  server->SetServing(true);
  admin->SetCondition("serving", absl::OkStatus());
  Log(LogLevel::kInfo, "serving",
      {{"listen", flags.listen},
       {"port", server->port()},
       {"admin_port", admin->port()},
       {"threads", threads},
       {"colocate", flags.colocate}});

  // The first to fail ends the process.
  const auto run = [](auto& l, absl::Status& ended) {
    ended = l.Run();
    if (!ended.ok()) Log(LogLevel::kError, ended.ToString());
    ShutdownSignals::Request();
  };
  absl::Status status, generated;
  std::thread trains([&] { run(loop, status); });
  std::thread generates;
  if (worker != nullptr) generates = std::thread([&] { run(*worker->loop, generated); });
  signals.Wait();
  Log(LogLevel::kInfo, "draining");
  admin->SetDraining();
  if (worker != nullptr) worker->loop->Stop(/*drain=*/false);
  loop.Stop();
  stopping = true;
  trains.join();
  if (generates.joinable()) {
    worker->reward->Close();  // verdicts are not worth waiting for: nobody takes their groups
    generates.join();
  }
  if (status.ok()) status = generated;
  publisher.Close();
  server->Shutdown(std::chrono::seconds(5));
  Log(LogLevel::kInfo, "stopped");
  return status;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  hone::Flags flags;
  CLI::App app("hone-learner: trains runs and serves their weights");
  app.add_option("--listen", flags.listen, "gRPC address, host:port")->capture_default_str();
  app.add_option("--advertise", flags.advertise,
                 "address under which workers reach --listen, host:port; default: --listen");
  app.add_option("--admin", flags.admin, "address of /metrics, /livez and /readyz, host:port")
      ->capture_default_str();
  app.add_option("--coordinator", flags.coordinator, "address of the coordinator, host:port")
      ->capture_default_str();
  app.add_option("--id", flags.id, "name of this learner, the same after a restart")
      ->capture_default_str();
  app.add_option("--threads", flags.threads, "threads that train; 0: one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--tls-cert", flags.tls.cert, "PEM file: the server's certificate chain");
  app.add_option("--tls-key", flags.tls.key, "PEM file: its private key");
  app.add_option("--tls-client-ca", flags.tls.client_ca,
                 "PEM file: authority of client certificates, which are then required");
  app.add_flag("--tls", flags.client_tls.enabled, "use TLS towards the coordinator");
  app.add_option("--tls-ca", flags.client_tls.ca, "PEM file: authority of its certificate");
  app.add_flag("--colocate", flags.colocate,
               "also generate: a rollout worker in this process that shares the weights");
  app.add_option("--reward", flags.reward, "with --colocate: address of the reward service")
      ->capture_default_str();
  AddRolloutOptions(*app.add_option_group("generation", "with --colocate"), flags.rollout);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = hone::Run(flags);
  if (status.ok()) return 0;
  hone::Log(hone::LogLevel::kError, status.ToString());
  return 1;
}
