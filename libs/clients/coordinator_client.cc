#include "libs/clients/coordinator_client.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/rpc/status.h"

namespace hone {
namespace {
// Longer than any `wait` that the loops ask for.
constexpr Duration kTimeout = std::chrono::seconds(30);
}  // namespace

absl::StatusOr<std::unique_ptr<CoordinatorClient>> CoordinatorClient::Create(
    const std::string& address, const rpc::ClientTls& tls, std::function<bool()> stop) {
  rpc::ChannelOptions options;
  options.tls = tls;
  options.max_receive_bytes = 64 << 20;  // a group of long completions is one message
  options.max_attempts = 1;  // the Retrier repeats, and says that it does
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, rpc::MakeChannel(address, options));
  return std::unique_ptr<CoordinatorClient>(
      new CoordinatorClient(std::move(channel), address, std::move(stop)));
}

CoordinatorClient::CoordinatorClient(std::shared_ptr<grpc::Channel> channel,
                                     const std::string& address, std::function<bool()> stop)
    : stub_(v1::CoordinatorService::NewStub(channel)),
      prompt_sets_(v1::PromptSetService::NewStub(channel)),
      retrier_(absl::StrCat("coordinator at ", address),
               {.initial = std::chrono::milliseconds(50), .max = std::chrono::seconds(1)},
               std::move(stop)),
      peer_(absl::StrCat("coordinator at ", address)) {}

template <typename Request, typename Response>
absl::StatusOr<Response> CoordinatorClient::Call(
    grpc::Status (v1::CoordinatorService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                         Response*),
    const Request& request) {
  Response response;
  const absl::Status status = retrier_.Run(kNoDeadline, [&]() {
    grpc::ClientContext context;
    rpc::PrepareCall(context, kTimeout);
    response.Clear();
    absl::Status s = rpc::FromCall((stub_.get()->*method)(&context, request, &response), peer_);
    // A peer that hangs is as good as away.
    if (absl::IsDeadlineExceeded(s)) s = absl::UnavailableError(s.message());
    return s;
  });
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::RegisterWorkerResponse> CoordinatorClient::Register(
    const v1::RegisterWorkerRequest& request) {
  return Call(&v1::CoordinatorService::Stub::RegisterWorker, request);
}
absl::StatusOr<v1::LeasePromptsResponse> CoordinatorClient::Lease(
    const v1::LeasePromptsRequest& request) {
  return Call(&v1::CoordinatorService::Stub::LeasePrompts, request);
}
absl::Status CoordinatorClient::Return(const v1::ReturnLeasesRequest& request) {
  return Call(&v1::CoordinatorService::Stub::ReturnLeases, request).status();
}
absl::StatusOr<v1::CommitGroupResponse> CoordinatorClient::Commit(
    const v1::CommitGroupRequest& request) {
  return Call(&v1::CoordinatorService::Stub::CommitGroup, request);
}
absl::StatusOr<v1::AcquireRunResponse> CoordinatorClient::AcquireRun(
    const v1::AcquireRunRequest& request) {
  return Call(&v1::CoordinatorService::Stub::AcquireRun, request);
}
absl::Status CoordinatorClient::BeginStage(const v1::BeginStageRequest& request) {
  return Call(&v1::CoordinatorService::Stub::BeginStage, request).status();
}
absl::StatusOr<v1::CommitStepResponse> CoordinatorClient::CommitStep(
    const v1::CommitStepRequest& request) {
  return Call(&v1::CoordinatorService::Stub::CommitStep, request);
}
absl::Status CoordinatorClient::CommitCheckpoint(const v1::CommitCheckpointRequest& request) {
  return Call(&v1::CoordinatorService::Stub::CommitCheckpoint, request).status();
}
absl::StatusOr<v1::Evaluation> CoordinatorClient::Evaluate(const v1::EvaluateRequest& request) {
  HONE_ASSIGN_OR_RETURN(v1::EvaluateResponse response,
                        Call(&v1::CoordinatorService::Stub::Evaluate, request));
  return std::move(*response.mutable_evaluation());
}
absl::Status CoordinatorClient::EndStage(const v1::EndStageRequest& request) {
  return Call(&v1::CoordinatorService::Stub::EndStage, request).status();
}
absl::Status CoordinatorClient::FailRun(const v1::FailRunRequest& request) {
  return Call(&v1::CoordinatorService::Stub::FailRun, request).status();
}

// Not repeated here: UNAVAILABLE also says that the batch is not ready, and the caller asks again
// in any case.
absl::StatusOr<TrajectorySource::Batch> CoordinatorClient::PullBatch(
    const v1::PullBatchRequest& request) {
  grpc::ClientContext context;
  rpc::PrepareCall(context, kTimeout);
  Batch batch;
  const auto reader = stub_->PullBatch(&context, request);
  v1::PullBatchResponse response;
  while (reader->Read(&response)) {
    for (v1::Group& g : *response.mutable_groups()) batch.groups.push_back(std::move(g));
    batch.dropped.insert(batch.dropped.end(), response.dropped().begin(), response.dropped().end());
  }
  absl::Status status = rpc::FromCall(reader->Finish(), peer_);
  if (absl::IsDeadlineExceeded(status)) status = absl::UnavailableError(status.message());
  HONE_RETURN_IF_ERROR(status);
  std::sort(batch.groups.begin(), batch.groups.end(),
            [](const v1::Group& a, const v1::Group& b) { return a.issue() < b.issue(); });
  return batch;
}

absl::StatusOr<std::vector<v1::Prompt>> CoordinatorClient::ReadPrompts(
    const std::string& prompt_set) {
  std::vector<v1::Prompt> prompts;
  HONE_RETURN_IF_ERROR(retrier_.Run(kNoDeadline, [&]() {
    grpc::ClientContext context;
    rpc::PrepareStream(context);
    v1::ReadPromptsRequest request;
    request.set_prompt_set_id(prompt_set);
    request.set_start(static_cast<int64_t>(prompts.size()));  // go on where it broke off
    const auto reader = prompt_sets_->ReadPrompts(&context, request);
    v1::ReadPromptsResponse response;
    while (reader->Read(&response))
      for (v1::Prompt& p : *response.mutable_prompts()) prompts.push_back(std::move(p));
    return rpc::FromCall(reader->Finish(), peer_);
  }));
  return prompts;
}

}  // namespace hone
