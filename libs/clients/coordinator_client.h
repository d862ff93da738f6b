#pragma once

#include <functional>
#include <memory>
#include <string>

#include "libs/loop/interfaces.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/retry.h"
#include "proto/hone/v1/coordinator.grpc.pb.h"
#include "proto/hone/v1/prompt.grpc.pb.h"

namespace hone {

// The coordinator over gRPC, for workers and learners: every call is repeated while the coordinator
// is away (it keeps its state, and every call may be repeated), until `stop` says so, which ends it
// with CANCELLED. Thread-safe.
class CoordinatorClient final : public PromptSource,
                                public TrajectorySink,
                                public TrajectorySource {
 public:
  // INVALID_ARGUMENT for an address that is none. Does not connect yet.
  static absl::StatusOr<std::unique_ptr<CoordinatorClient>> Create(const std::string& address,
                                                                   const rpc::ClientTls& tls,
                                                                   std::function<bool()> stop);

  absl::StatusOr<v1::RegisterWorkerResponse> Register(
      const v1::RegisterWorkerRequest& request) override;
  absl::StatusOr<v1::LeasePromptsResponse> Lease(const v1::LeasePromptsRequest& request) override;
  absl::Status Return(const v1::ReturnLeasesRequest& request) override;
  absl::StatusOr<v1::CommitGroupResponse> Commit(const v1::CommitGroupRequest& request) override;

  absl::StatusOr<v1::AcquireRunResponse> AcquireRun(const v1::AcquireRunRequest& request) override;
  absl::Status BeginStage(const v1::BeginStageRequest& request) override;
  absl::StatusOr<Batch> PullBatch(const v1::PullBatchRequest& request) override;
  absl::StatusOr<v1::CommitStepResponse> CommitStep(const v1::CommitStepRequest& request) override;
  absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request) override;
  absl::StatusOr<v1::Evaluation> Evaluate(const v1::EvaluateRequest& request) override;
  absl::Status EndStage(const v1::EndStageRequest& request) override;
  absl::Status FailRun(const v1::FailRunRequest& request) override;
  absl::StatusOr<std::vector<v1::Prompt>> ReadPrompts(const std::string& prompt_set) override;

 private:
  CoordinatorClient(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                    std::function<bool()> stop);

  // One unary call of `method`, repeated while the coordinator is away.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::CoordinatorService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request);

  std::unique_ptr<v1::CoordinatorService::Stub> stub_;
  std::unique_ptr<v1::PromptSetService::Stub> prompt_sets_;
  rpc::Retrier retrier_;
  const std::string peer_;
};

}  // namespace hone
