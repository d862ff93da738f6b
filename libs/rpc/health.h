#pragma once

// The standard health service. gRPC's own one says SERVING from the moment the port is open, before
// a process has opened its store or loaded its weights; this one starts with NOT_SERVING.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "libs/base/mutex.h"
#include "proto/grpc/health/v1/health.grpc.pb.h"

namespace hone::rpc {

// Thread-safe. All services of a server, and "", share one state. Outlives the server that it is
// registered with.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  // Full names of the services that are known beside "".
  void SetNames(const std::vector<std::string>& names);
  // Tells all watchers. No effect after End.
  void SetServing(bool serving);
  // NOT_SERVING for good; every Watch ends. A server that has watchers would otherwise not drain.
  void End();

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  class Watcher;
  using State = grpc::health::v1::HealthCheckResponse::ServingStatus;

  State StateOf(const std::string& service) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void UpdateAll();

  Mutex mu_;
  std::set<std::string> names_ ABSL_GUARDED_BY(mu_) = {""};
  bool serving_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  // Calls that are not done yet. Shared, so that UpdateAll may hold one that is done meanwhile.
  std::map<Watcher*, std::shared_ptr<Watcher>> watchers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hone::rpc
