#pragma once

#include <string>

#include "libs/loop/learner_loop.h"
#include "proto/hone/v1/learner.grpc.pb.h"

namespace hone {

// proto/hone/v1/learner.proto over a LearnerLoop, which must outlive it.
class LearnerService final : public v1::LearnerService::CallbackService {
 public:
  LearnerService(std::string learner_id, const LearnerLoop& loop)
      : learner_id_(std::move(learner_id)), loop_(loop) {}

  grpc::ServerUnaryReactor* GetLearnerStatus(grpc::CallbackServerContext* context,
                                             const v1::GetLearnerStatusRequest* request,
                                             v1::GetLearnerStatusResponse* response) override;

 private:
  const std::string learner_id_;
  const LearnerLoop& loop_;
};

}  // namespace hone
