#pragma once

#include <memory>
#include <string>
#include <thread>

#include "grpcpp/client_context.h"
#include "libs/base/mutex.h"
#include "libs/loop/interfaces.h"
#include "libs/rpc/tls.h"
#include "libs/telemetry/metrics.h"

namespace hone {

// A worker's subscription to the learner's WeightsService. Reconnects when the learner goes away,
// and asks for what is newer than it has. Thread-safe.
class WeightsClient final : public WeightsSource {
 public:
  // `metrics` may be null, else outlives this.
  WeightsClient(std::string worker_id, const rpc::ClientTls& tls, Metrics* metrics);
  ~WeightsClient() override;

  void Follow(const std::string& run_id, const std::string& address, const Transformer& transformer,
              DType dtype, std::shared_ptr<const Weights> base,
              std::function<void()> arrived) override;
  void Unfollow() override { End(); }
  Arrival Take() override;

 private:
  struct Subscription;

  void Serve(Subscription& s);
  absl::Status Receive(Subscription& s);
  void End();

  const std::string worker_id_;
  const rpc::ClientTls tls_;
  Counter bytes_, versions_, checksum_failures_;
  Histogram receive_seconds_;
  std::unique_ptr<Subscription> subscription_;  // changed by Follow only
  Mutex mu_;
  Arrival arrival_ ABSL_GUARDED_BY(mu_);
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace hone
