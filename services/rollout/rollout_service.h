#pragma once

#include <string>

#include "libs/loop/rollout_loop.h"
#include "proto/hone/v1/rollout.grpc.pb.h"

namespace hone {

// proto/hone/v1/rollout.proto over a RolloutLoop, which must outlive it.
class RolloutService final : public v1::RolloutService::Service {
 public:
  RolloutService(std::string worker_id, RolloutLoop& loop)
      : worker_id_(std::move(worker_id)), loop_(loop) {}

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override;
  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreTokensRequest* request,
                     v1::ScoreTokensResponse* response) override;
  grpc::Status GetWorkerStatus(grpc::ServerContext* context,
                               const v1::GetWorkerStatusRequest* request,
                               v1::GetWorkerStatusResponse* response) override;

 private:
  const std::string worker_id_;
  RolloutLoop& loop_;
};

}  // namespace hone
