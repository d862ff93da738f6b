#pragma once

#include "libs/buffer/buffer.h"
#include "proto/hone/v1/coordinator.grpc.pb.h"
#include "services/coordinator/long_polls.h"

namespace hone {

// coordinator.proto over a Buffer. `buffer` and `polls` outlive the service and its server.
class CoordinatorService final : public v1::CoordinatorService::CallbackService {
 public:
  CoordinatorService(Buffer& buffer, LongPolls& polls) : buffer_(buffer), polls_(polls) {}

  grpc::ServerUnaryReactor* RegisterWorker(grpc::CallbackServerContext* context,
                                           const v1::RegisterWorkerRequest* request,
                                           v1::RegisterWorkerResponse* response) override;
  grpc::ServerUnaryReactor* LeasePrompts(grpc::CallbackServerContext* context,
                                         const v1::LeasePromptsRequest* request,
                                         v1::LeasePromptsResponse* response) override;
  grpc::ServerUnaryReactor* CommitGroup(grpc::CallbackServerContext* context,
                                        const v1::CommitGroupRequest* request,
                                        v1::CommitGroupResponse* response) override;
  grpc::ServerUnaryReactor* ReturnLeases(grpc::CallbackServerContext* context,
                                         const v1::ReturnLeasesRequest* request,
                                         v1::ReturnLeasesResponse* response) override;
  grpc::ServerUnaryReactor* AcquireRun(grpc::CallbackServerContext* context,
                                       const v1::AcquireRunRequest* request,
                                       v1::AcquireRunResponse* response) override;
  grpc::ServerUnaryReactor* BeginStage(grpc::CallbackServerContext* context,
                                       const v1::BeginStageRequest* request,
                                       v1::BeginStageResponse* response) override;
  grpc::ServerWriteReactor<v1::PullBatchResponse>* PullBatch(
      grpc::CallbackServerContext* context, const v1::PullBatchRequest* request) override;
  grpc::ServerUnaryReactor* CommitStep(grpc::CallbackServerContext* context,
                                       const v1::CommitStepRequest* request,
                                       v1::CommitStepResponse* response) override;
  grpc::ServerUnaryReactor* CommitCheckpoint(grpc::CallbackServerContext* context,
                                             const v1::CommitCheckpointRequest* request,
                                             v1::CommitCheckpointResponse* response) override;
  grpc::ServerUnaryReactor* Evaluate(grpc::CallbackServerContext* context,
                                     const v1::EvaluateRequest* request,
                                     v1::EvaluateResponse* response) override;
  grpc::ServerUnaryReactor* EndStage(grpc::CallbackServerContext* context,
                                     const v1::EndStageRequest* request,
                                     v1::EndStageResponse* response) override;
  grpc::ServerUnaryReactor* FailRun(grpc::CallbackServerContext* context,
                                    const v1::FailRunRequest* request,
                                    v1::FailRunResponse* response) override;

 private:
  Buffer& buffer_;
  LongPolls& polls_;
};

}  // namespace hone
