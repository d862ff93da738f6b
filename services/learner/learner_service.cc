#include "services/learner/learner_service.h"

#include <chrono>

namespace hone {

grpc::ServerUnaryReactor* LearnerService::GetLearnerStatus(
    grpc::CallbackServerContext* context, const v1::GetLearnerStatusRequest* request,
    v1::GetLearnerStatusResponse* response) {
  const LearnerLoop::Stats stats = loop_.stats();
  response->set_learner_id(learner_id_);
  response->set_run_id(stats.run_id);
  response->set_stage(stats.stage);
  response->set_step(stats.step);
  response->set_published_version(stats.published_version);
  for (const auto& [state, seconds] : loop_.ledger().Read().states)
    (*response->mutable_ledger_seconds())[state] = std::chrono::duration<double>(seconds).count();
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace hone
