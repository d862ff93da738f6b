#include "services/rollout/rollout_service.h"

#include <chrono>
#include <memory>

#include "libs/base/queue.h"
#include "libs/rpc/status.h"

namespace hone {

grpc::Status RolloutService::Generate(grpc::ServerContext* context,
                                      const v1::GenerateRequest* request,
                                      grpc::ServerWriter<v1::GenerateResponse>* writer) {
  const int samples = request->samples() > 0 ? request->samples() : 1;
  if (samples > 1024) return rpc::ToGrpc(absl::InvalidArgumentError("samples is above 1024"));
  GroupRequest group{
      .prompt = {request->prompt_token_ids().begin(), request->prompt_token_ids().end()},
      .group_size = samples,
      .sampling = request->sampling(),
      .seed = request->seed()};
  // Outlives this call: the engine's thread may still deliver after a client went away.
  const auto finished =
      std::make_shared<Queue<v1::Completion>>("completions", static_cast<size_t>(samples));
  const absl::Status status = loop_.Generate(
      std::move(group), request->prompt(),
      [finished](v1::Completion completion) { finished->TryPush(std::move(completion)); });
  if (!status.ok()) return rpc::ToGrpc(status);
  for (int sent = 0; sent < samples;) {
    auto completion =
        finished->Pop(std::chrono::steady_clock::now() + std::chrono::milliseconds(500));
    if (context->IsCancelled()) return {grpc::StatusCode::CANCELLED, "the caller went away"};
    if (!completion.ok()) continue;
    if (completion->finish_reason() == v1::FINISH_REASON_ABORT)
      return {grpc::StatusCode::UNAVAILABLE, "the worker ended its run"};
    v1::GenerateResponse response;
    *response.mutable_completion() = *std::move(completion);
    if (!writer->Write(response)) return {grpc::StatusCode::CANCELLED, "the caller went away"};
    ++sent;
  }
  return grpc::Status::OK;
}

grpc::Status RolloutService::Score(grpc::ServerContext* context,
                                   const v1::ScoreTokensRequest* request,
                                   v1::ScoreTokensResponse* response) {
  int64_t version = -1;
  const auto logprobs = loop_.Score({request->token_ids().begin(), request->token_ids().end()},
                                    request->temperature(), &version);
  if (!logprobs.ok()) return rpc::ToGrpc(logprobs.status());
  response->mutable_logprobs()->Assign(logprobs->begin(), logprobs->end());
  response->set_weights_version(version);
  return grpc::Status::OK;
}

grpc::Status RolloutService::GetWorkerStatus(grpc::ServerContext* context,
                                             const v1::GetWorkerStatusRequest* request,
                                             v1::GetWorkerStatusResponse* response) {
  const RolloutLoop::Stats stats = loop_.stats();
  response->set_worker_id(worker_id_);
  response->set_run_id(stats.run_id);
  response->set_weights_version(stats.weights_version);
  response->set_running(stats.running);
  response->set_waiting(stats.waiting);
  response->set_generated_tokens(stats.generated_tokens);
  for (const auto& [state, seconds] : loop_.ledger().Read().states)
    (*response->mutable_ledger_seconds())[state] = std::chrono::duration<double>(seconds).count();
  return grpc::Status::OK;
}

}  // namespace hone
