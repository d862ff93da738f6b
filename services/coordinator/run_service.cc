#include "services/coordinator/run_service.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/config/defaults.h"
#include "libs/config/validate.h"
#include "services/coordinator/calls.h"

namespace hone {
namespace {

// Sends a run's state, steps and evaluations until it ends. One write is under way at a time;
// changes that come meanwhile are in the next message.
class Watcher final : public grpc::ServerWriteReactor<v1::WatchRunResponse> {
 public:
  Watcher(grpc::CallbackServerContext* context, Buffer& buffer, LongPolls& polls,
          const v1::WatchRunRequest& request)
      : context_(context),
        buffer_(buffer),
        polls_(polls),
        run_id_(request.run_id()),
        after_step_(request.after_step()),
        evaluations_after_(request.after_step()) {
    Send();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    Send();
  }
  // The waiting attempt sees that the call is cancelled.
  void OnCancel() override { polls_.Notify(kRuns); }
  void OnDone() override { delete this; }

 private:
  // Writes what is new, ends the call, or waits.
  void Send() {
    const uint64_t seen = polls_.now();
    if (Try(false)) return;
    polls_.Wait(kRuns | kEvaluations, seen, SystemClock::Get().Now() + std::chrono::minutes(1),
                [this](bool last) { return Try(last); });
  }

  bool Try(bool last) {
    if (context_->IsCancelled()) {
      Finish(grpc::Status::CANCELLED);
      return true;
    }
    absl::StatusOr<bool> news = Collect();
    if (!news.ok()) {
      Finish(rpc::ToGrpc(news.status()));
      return true;
    }
    if (*news) {
      buffer_.WhenSynced([this](const absl::Status& synced) {
        if (!synced.ok()) return Finish(rpc::ToGrpc(synced));
        StartWrite(&response_);
      });
      return true;
    }
    if (Ended(state_)) {
      Finish(grpc::Status::OK);
      return true;
    }
    if (!last) return false;
    // A quiet minute, or the end of the service: the client sees the present state again and knows
    // that it is still heard; after the end of the service the next write fails.
    if (polls_.stopped()) {
      Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the coordinator is stopping"));
    } else {
      StartWrite(&response_);
    }
    return true;
  }

  // Fills the response; whether there is something that was not sent yet.
  absl::StatusOr<bool> Collect() {
    response_.Clear();
    HONE_ASSIGN_OR_RETURN(*response_.mutable_run(), buffer_.GetRun(run_id_));
    state_ = response_.run().state();
    bool news = response_.run().revision() != revision_;
    revision_ = response_.run().revision();
    v1::ListStepMetricsRequest steps;
    steps.set_run_id(run_id_);
    steps.set_after_step(after_step_);
    HONE_ASSIGN_OR_RETURN(v1::ListStepMetricsResponse listed, buffer_.ListStepMetrics(steps));
    if (listed.steps_size() > 0) {
      after_step_ = listed.steps(listed.steps_size() - 1).step();
      news = true;
    }
    response_.mutable_steps()->Swap(listed.mutable_steps());
    v1::ListEvaluationsRequest evaluations;
    evaluations.set_run_id(run_id_);
    HONE_ASSIGN_OR_RETURN(v1::ListEvaluationsResponse all, buffer_.ListEvaluations(evaluations));
    for (v1::Evaluation& e : *all.mutable_evaluations()) {
      if (!e.done() || e.step() <= evaluations_after_ ||
          !sent_.insert(absl::StrCat(e.step(), " ", e.name())).second)
        continue;
      *response_.add_evaluations() = std::move(e);
      news = true;
    }
    return news;
  }

  grpc::CallbackServerContext* const context_;
  Buffer& buffer_;
  LongPolls& polls_;
  const std::string run_id_;
  int64_t after_step_;
  const int64_t evaluations_after_;
  int64_t revision_ = -1;
  v1::RunState state_ = v1::RUN_STATE_UNSPECIFIED;
  std::set<std::string> sent_;
  v1::WatchRunResponse response_;
};

}  // namespace

grpc::ServerUnaryReactor* RunService::CreateRun(grpc::CallbackServerContext* context,
                                                const v1::CreateRunRequest* request,
                                                v1::CreateRunResponse* response) {
  return AnswerNow(context, buffer_, [&]() -> absl::Status {
    HONE_RETURN_IF_ERROR(ToStatus(Validate(request->spec())));
    v1::CreateRunRequest complete = *request;
    ApplyDefaults(*complete.mutable_spec());
    return Take(buffer_.CreateRun(complete), response->mutable_run());
  });
}

grpc::ServerUnaryReactor* RunService::GetRun(grpc::CallbackServerContext* context,
                                             const v1::GetRunRequest* request,
                                             v1::GetRunResponse* response) {
  return AnswerNow(context, buffer_, [&] {
    return Take(buffer_.GetRun(request->run_id()), response->mutable_run());
  });
}

grpc::ServerUnaryReactor* RunService::ListRuns(grpc::CallbackServerContext* context,
                                               const v1::ListRunsRequest* request,
                                               v1::ListRunsResponse* response) {
  return AnswerNow(context, buffer_, [&] { return Take(buffer_.ListRuns(*request), response); });
}

grpc::ServerWriteReactor<v1::WatchRunResponse>* RunService::WatchRun(
    grpc::CallbackServerContext* context, const v1::WatchRunRequest* request) {
  return new Watcher(context, buffer_, polls_, *request);
}

grpc::ServerUnaryReactor* RunService::PauseRun(grpc::CallbackServerContext* context,
                                               const v1::PauseRunRequest* request,
                                               v1::PauseRunResponse* response) {
  return AnswerNow(context, buffer_, [&] {
    return Take(buffer_.PauseRun(request->run_id()), response->mutable_run());
  });
}

grpc::ServerUnaryReactor* RunService::ResumeRun(grpc::CallbackServerContext* context,
                                                const v1::ResumeRunRequest* request,
                                                v1::ResumeRunResponse* response) {
  return AnswerNow(context, buffer_, [&] {
    return Take(buffer_.ResumeRun(request->run_id()), response->mutable_run());
  });
}

grpc::ServerUnaryReactor* RunService::CancelRun(grpc::CallbackServerContext* context,
                                                const v1::CancelRunRequest* request,
                                                v1::CancelRunResponse* response) {
  return AnswerNow(context, buffer_, [&] {
    return Take(buffer_.CancelRun(request->run_id()), response->mutable_run());
  });
}

grpc::ServerUnaryReactor* RunService::ListStepMetrics(grpc::CallbackServerContext* context,
                                                      const v1::ListStepMetricsRequest* request,
                                                      v1::ListStepMetricsResponse* response) {
  return AnswerNow(context, buffer_,
                   [&] { return Take(buffer_.ListStepMetrics(*request), response); });
}

grpc::ServerUnaryReactor* RunService::ListEvaluations(grpc::CallbackServerContext* context,
                                                      const v1::ListEvaluationsRequest* request,
                                                      v1::ListEvaluationsResponse* response) {
  return AnswerNow(context, buffer_,
                   [&] { return Take(buffer_.ListEvaluations(*request), response); });
}

grpc::ServerUnaryReactor* RunService::ListGroups(grpc::CallbackServerContext* context,
                                                 const v1::ListGroupsRequest* request,
                                                 v1::ListGroupsResponse* response) {
  return AnswerNow(context, buffer_, [&] { return Take(buffer_.ListGroups(*request), response); });
}

grpc::ServerUnaryReactor* RunService::ListIssues(grpc::CallbackServerContext* context,
                                                 const v1::ListIssuesRequest* request,
                                                 v1::ListIssuesResponse* response) {
  return AnswerNow(context, buffer_, [&] { return Take(buffer_.ListIssues(*request), response); });
}

grpc::ServerUnaryReactor* RunService::GetClusterStatus(grpc::CallbackServerContext* context,
                                                       const v1::GetClusterStatusRequest*,
                                                       v1::GetClusterStatusResponse* response) {
  return AnswerNow(context, buffer_, [&] {
    absl::Status s = Take(buffer_.GetClusterStatus(), response);
    response->set_version(version_);
    return s;
  });
}

}  // namespace hone
