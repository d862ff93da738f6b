#include "services/coordinator/coordinator_service.h"

#include <utility>

#include "libs/base/status.h"
#include "services/coordinator/calls.h"

namespace hone {
namespace {

// Sends the groups of a batch, one per message.
class BatchWriter final : public grpc::ServerWriteReactor<v1::PullBatchResponse> {
 public:
  BatchWriter(grpc::CallbackServerContext* context, Buffer& buffer, LongPolls& polls,
              const v1::PullBatchRequest& request)
      : context_(context),
        buffer_(buffer),
        request_(request),
        queue_(StageQueue(request.run_id(), request.stage())) {
    const uint64_t seen = polls.now();
    const Duration wait = WaitOf(request.wait());
    if (Try(wait <= Duration::zero())) return;
    polls.Wait(kBatch | kRuns, seen, SystemClock::Get().Now() + wait,
               [this](bool last) { return Try(last); });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    WriteNext();
  }
  void OnDone() override { delete this; }

 private:
  // Whether the call was answered, or has begun to be.
  bool Try(bool last) {
    if (context_->IsCancelled()) {
      Finish(grpc::Status::CANCELLED);
      return true;
    }
    absl::StatusOr<v1::StoredBatch> batch = buffer_.PullBatch(request_);
    if (absl::IsUnavailable(batch.status()) && !last) return false;
    if (!batch.ok()) {
      Finish(rpc::ToGrpc(batch.status()));
      return true;
    }
    batch_ = *std::move(batch);
    *response_.mutable_dropped() = batch_.dropped();
    buffer_.WhenSynced([this](const absl::Status& synced) {
      if (!synced.ok()) return Finish(rpc::ToGrpc(synced));
      WriteNext();
    });
    return true;
  }

  void WriteNext() {
    if (next_ > 0) response_.Clear();
    if (next_ < batch_.issues_size()) {
      absl::StatusOr<v1::Group> group = buffer_.ReadGroup(queue_, batch_.issues(next_));
      if (!group.ok()) return Finish(rpc::ToGrpc(group.status()));
      *response_.add_groups() = *std::move(group);
    } else if (next_ > 0 || batch_.dropped().empty()) {
      return Finish(grpc::Status::OK);
    }
    ++next_;
    StartWrite(&response_);
  }

  grpc::CallbackServerContext* const context_;
  Buffer& buffer_;
  const v1::PullBatchRequest request_;
  const QueueId queue_;
  v1::StoredBatch batch_;
  int next_ = 0;  // messages begun
  v1::PullBatchResponse response_;
};

}  // namespace

grpc::ServerUnaryReactor* CoordinatorService::RegisterWorker(
    grpc::CallbackServerContext* context, const v1::RegisterWorkerRequest* request,
    v1::RegisterWorkerResponse* response) {
  return AnswerLater(context, buffer_, polls_, kRuns, WaitOf(request->wait()),
                     [this, request, response] {
                       absl::Status s = Take(buffer_.RegisterWorker(*request), response);
                       return Look{!s.ok() || !response->run_id().empty(), s};
                     });
}

grpc::ServerUnaryReactor* CoordinatorService::LeasePrompts(grpc::CallbackServerContext* context,
                                                           const v1::LeasePromptsRequest* request,
                                                           v1::LeasePromptsResponse* response) {
  return AnswerLater(context, buffer_, polls_, kWork | kRuns, WaitOf(request->wait()),
                     [this, request, response] {
                       bool settled = false;
                       absl::Status s = Take(buffer_.LeasePrompts(*request, &settled), response);
                       return Look{!s.ok() || settled || response->leases_size() > 0, s};
                     });
}

grpc::ServerUnaryReactor* CoordinatorService::CommitGroup(grpc::CallbackServerContext* context,
                                                          const v1::CommitGroupRequest* request,
                                                          v1::CommitGroupResponse* response) {
  return AnswerNow(context, buffer_, [&] { return Take(buffer_.CommitGroup(*request), response); });
}

grpc::ServerUnaryReactor* CoordinatorService::ReturnLeases(grpc::CallbackServerContext* context,
                                                           const v1::ReturnLeasesRequest* request,
                                                           v1::ReturnLeasesResponse*) {
  return AnswerNow(context, buffer_, [&] { return buffer_.ReturnLeases(*request); });
}

grpc::ServerUnaryReactor* CoordinatorService::AcquireRun(grpc::CallbackServerContext* context,
                                                         const v1::AcquireRunRequest* request,
                                                         v1::AcquireRunResponse* response) {
  return AnswerLater(context, buffer_, polls_, kRuns, WaitOf(request->wait()),
                     [this, request, response] {
                       absl::Status s = Take(buffer_.AcquireRun(*request), response);
                       return Look{!s.ok() || !response->run_id().empty(), s};
                     });
}

grpc::ServerUnaryReactor* CoordinatorService::BeginStage(grpc::CallbackServerContext* context,
                                                         const v1::BeginStageRequest* request,
                                                         v1::BeginStageResponse*) {
  return AnswerNow(context, buffer_, [&] { return buffer_.BeginStage(*request); });
}

grpc::ServerWriteReactor<v1::PullBatchResponse>* CoordinatorService::PullBatch(
    grpc::CallbackServerContext* context, const v1::PullBatchRequest* request) {
  return new BatchWriter(context, buffer_, polls_, *request);
}

grpc::ServerUnaryReactor* CoordinatorService::CommitStep(grpc::CallbackServerContext* context,
                                                         const v1::CommitStepRequest* request,
                                                         v1::CommitStepResponse* response) {
  return AnswerNow(context, buffer_, [&]() -> absl::Status {
    HONE_ASSIGN_OR_RETURN(const v1::RunState state, buffer_.CommitStep(*request));
    response->set_state(state);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* CoordinatorService::CommitCheckpoint(
    grpc::CallbackServerContext* context, const v1::CommitCheckpointRequest* request,
    v1::CommitCheckpointResponse*) {
  return AnswerNow(context, buffer_, [&] { return buffer_.CommitCheckpoint(*request); });
}

grpc::ServerUnaryReactor* CoordinatorService::Evaluate(grpc::CallbackServerContext* context,
                                                       const v1::EvaluateRequest* request,
                                                       v1::EvaluateResponse* response) {
  return AnswerLater(context, buffer_, polls_, kEvaluations | kRuns, WaitOf(request->wait()),
                     [this, request, response] {
                       absl::Status s =
                           Take(buffer_.Evaluate(*request), response->mutable_evaluation());
                       return Look{!s.ok() || response->evaluation().done(), s};
                     });
}

grpc::ServerUnaryReactor* CoordinatorService::EndStage(grpc::CallbackServerContext* context,
                                                       const v1::EndStageRequest* request,
                                                       v1::EndStageResponse*) {
  return AnswerNow(context, buffer_, [&] { return buffer_.EndStage(*request); });
}

grpc::ServerUnaryReactor* CoordinatorService::FailRun(grpc::CallbackServerContext* context,
                                                      const v1::FailRunRequest* request,
                                                      v1::FailRunResponse*) {
  return AnswerNow(context, buffer_, [&] { return buffer_.FailRun(*request); });
}

}  // namespace hone
