#pragma once

#include "libs/telemetry/metrics.h"
#include "libs/weights/publisher.h"
#include "proto/hone/v1/weights.grpc.pb.h"

namespace hone {

// proto/hone/v1/weights.proto over a Publisher, which must outlive it. One thread per subscriber:
// there are as many as rollout workers. Close the publisher before the server shuts down.
class WeightsService final : public v1::WeightsService::Service {
 public:
  // `metrics` may be null, else outlives this.
  WeightsService(Publisher& publisher, Metrics* metrics);

  grpc::Status Subscribe(grpc::ServerContext* context, const v1::SubscribeRequest* request,
                         grpc::ServerWriter<v1::SubscribeResponse>* writer) override;
  grpc::Status GetManifest(grpc::ServerContext* context, const v1::GetManifestRequest* request,
                           v1::GetManifestResponse* response) override;

 private:
  Publisher& publisher_;
  Counter bytes_;
  Counter whole_, changes_;  // transfers
  Gauge subscribers_;
  Histogram send_seconds_;
};

}  // namespace hone
