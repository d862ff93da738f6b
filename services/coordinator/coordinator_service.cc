#include "services/coordinator/coordinator_service.h"

#include <deque>
#include <set>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "services/coordinator/calls.h"

namespace hone {
namespace {

// Sends the groups of a batch, one per message: those of a synchronous step as they are committed,
// so that the last one is all that the learner waits for. The call ends with OK when the batch is
// on the disk.
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
    bool ended = false;
    {
      MutexLock lock(mu_);
      writing_ = false;
      if (!ok) End(grpc::Status::CANCELLED);
      ended = !WriteNext();
    }
    if (ended) Finish(status_);  // the reactor may be gone before a lock would be released
  }
  void OnDone() override { delete this; }

 private:
  // Whether the answer is complete, but for the disk.
  bool Try(bool last) {
    if (context_->IsCancelled()) {
      Complete(grpc::Status::CANCELLED);
      return true;
    }
    std::vector<int64_t> sure;
    absl::StatusOr<v1::StoredBatch> batch = buffer_.PullBatch(request_, &sure);
    if (absl::IsUnavailable(batch.status()) && !last) {
      MutexLock lock(mu_);
      Send(sure);
      return false;
    }
    if (!batch.ok()) {
      Complete(rpc::ToGrpc(batch.status()));
      return true;
    }
    {
      MutexLock lock(mu_);
      dropped_.assign(batch->dropped().begin(), batch->dropped().end());
      Send(batch->issues());
      if (static_cast<int>(sent_.size()) != batch->issues_size())
        End({grpc::StatusCode::UNAVAILABLE, "a group was sent and then dropped: ask again"});
    }
    buffer_.WhenSynced([this](const absl::Status& synced) { Complete(rpc::ToGrpc(synced)); });
    return true;
  }

  void Complete(const grpc::Status& status) {
    bool ended = false;
    {
      MutexLock lock(mu_);
      complete_ = true;
      if (!status.ok()) End(status);
      ended = !WriteNext();
    }
    if (ended) Finish(status_);
  }
  // The call will end with this error, once nobody else refers to the reactor.
  void End(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (status_.ok()) status_ = status;
  }
  template <typename Issues>
  void Send(const Issues& issues) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const int64_t n : issues)
      if (sent_.insert(n).second) unsent_.push_back(n);
    WriteNext();
  }
  // False: all is said, and the caller has to finish the call.
  bool WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_) return true;
    if (status_.ok() && (!unsent_.empty() || !dropped_.empty())) {
      response_.Clear();
      response_.mutable_dropped()->Assign(dropped_.begin(), dropped_.end());
      dropped_.clear();
      if (!unsent_.empty()) {
        absl::StatusOr<v1::Group> group = buffer_.ReadGroup(queue_, unsent_.front());
        unsent_.pop_front();
        if (group.ok())
          *response_.add_groups() = *std::move(group);
        else
          End(rpc::ToGrpc(group.status()));
      }
      if (status_.ok()) {
        writing_ = true;
        StartWrite(&response_);
        return true;
      }
    }
    return !complete_;
  }

  grpc::CallbackServerContext* const context_;
  Buffer& buffer_;
  const v1::PullBatchRequest request_;
  const QueueId queue_;
  Mutex mu_;
  std::set<int64_t> sent_ ABSL_GUARDED_BY(mu_);  // or about to be
  std::deque<int64_t> unsent_ ABSL_GUARDED_BY(mu_);
  std::vector<int64_t> dropped_ ABSL_GUARDED_BY(mu_);  // not sent yet
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool complete_ ABSL_GUARDED_BY(mu_) = false;  // nobody will call Send or Complete again
  grpc::Status status_;  // changes under mu_ until the call is complete and written
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
