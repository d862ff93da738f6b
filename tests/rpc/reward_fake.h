#pragma once

// A RewardService whose answers a test chooses; the transport under test does not care what it
// carries.

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "libs/rpc/status.h"
#include "proto/hone/v1/reward.grpc.pb.h"

namespace hone::rpc {

class FakeReward final : public v1::RewardService::Service {
 public:
  grpc::Status ListScorers(grpc::ServerContext* context, const v1::ListScorersRequest* /*request*/,
                           v1::ListScorersResponse* response) override {
    ++calls;
    response->add_scorers()->set_name("math");
    return ToGrpc(answer(*context));
  }
  // Echoes until the client is done.
  grpc::Status Score(
      grpc::ServerContext* /*context*/,
      grpc::ServerReaderWriter<v1::ScoreResponse, v1::ScoreRequest>* stream) override {
    v1::ScoreRequest request;
    while (stream->Read(&request)) stream->Write({});
    return grpc::Status::OK;
  }

  std::atomic<int> calls{0};
  std::function<absl::Status(grpc::ServerContext&)> answer = [](grpc::ServerContext&) {
    return absl::OkStatus();
  };
};

}  // namespace hone::rpc
