#pragma once

// What the two loops need of the rest of the system. libs/clients implements these over gRPC; a
// test implements them with direct calls, so that the whole system runs in one process. Requests
// and answers are the wire's messages, with the meaning that coordinator.proto gives them.
//
// Implementations are thread-safe and retry while their peer is away; what they return is final:
// CANCELLED when the process is stopping, else an error that waiting would not mend.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/model/transformer.h"
#include "libs/weights/snapshot.h"
#include "proto/hone/v1/coordinator.pb.h"
#include "proto/hone/v1/reward.pb.h"

namespace hone {

// Where prompts come from.
class PromptSource {
 public:
  virtual ~PromptSource() = default;
  virtual absl::StatusOr<v1::RegisterWorkerResponse> Register(
      const v1::RegisterWorkerRequest& request) = 0;
  virtual absl::StatusOr<v1::LeasePromptsResponse> Lease(
      const v1::LeasePromptsRequest& request) = 0;
  virtual absl::Status Return(const v1::ReturnLeasesRequest& request) = 0;
};

// Where finished groups go.
class TrajectorySink {
 public:
  virtual ~TrajectorySink() = default;
  virtual absl::StatusOr<v1::CommitGroupResponse> Commit(const v1::CommitGroupRequest& request) = 0;
};

// Who judges completions.
class VerdictSource {
 public:
  virtual ~VerdictSource() = default;
  // `done` is called once, from any thread. A service that stays away becomes
  // OUTCOME_VERIFIER_UNAVAILABLE.
  virtual void Score(const v1::RewardSpec& reward, v1::ScoreItem item,
                     std::function<void(v1::Verdict)> done) = 0;
};

// Where a worker's weights come from.
class WeightsSource {
 public:
  virtual ~WeightsSource() = default;
  // Follows a run's weights from now on, in the background; a second call replaces the first.
  // `transformer`, whose layout and backend the weights are for, must live until the next call,
  // Unfollow or destruction; `base` as in Stager (null if BringsBase). `arrived` is called
  // (from any thread) when Take has something, or Recalled has become true.
  virtual void Follow(const std::string& run_id, const std::string& address,
                      const Transformer& transformer, DType dtype,
                      std::shared_ptr<const Weights> base, std::function<void()> arrived) = 0;
  // Follows nothing any more: `arrived` is not called again, and weights that Take gave may change.
  virtual void Unfollow() = 0;
  struct Arrival {
    // Null: nothing new. Nobody changes them before the next Take that brings others, or GiveBack.
    std::shared_ptr<const Weights> weights;
    int64_t version = -1;
  };
  // Whether weights from `address` bring their frozen parameters with them.
  virtual bool BringsBase(const std::string& /*address*/) const { return false; }
  // The newest complete version that was not taken yet. Never waits.
  virtual Arrival Take() = 0;
  // Whether somebody waits to change the weights that Take gave last (WeightsSink::Recall). A
  // worker asks between any two steps and answers by GiveBack.
  virtual bool Recalled() const { return false; }
  // Nothing reads the recalled weights any more, on a device neither. If that version is still
  // `needed`: a copy that nobody changes, equal to the bit. Else null.
  virtual std::shared_ptr<const Weights> GiveBack(bool /*needed*/) { return nullptr; }
};

// What the learner asks of the coordinator.
class TrajectorySource {
 public:
  virtual ~TrajectorySource() = default;
  virtual absl::StatusOr<v1::AcquireRunResponse> AcquireRun(
      const v1::AcquireRunRequest& request) = 0;
  virtual absl::Status BeginStage(const v1::BeginStageRequest& request) = 0;
  struct Batch {
    std::vector<v1::Group> groups;
    std::vector<int64_t> dropped;
  };
  // UNAVAILABLE when the batch was not ready within request.wait.
  virtual absl::StatusOr<Batch> PullBatch(const v1::PullBatchRequest& request) = 0;
  virtual absl::StatusOr<v1::CommitStepResponse> CommitStep(
      const v1::CommitStepRequest& request) = 0;
  virtual absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request) = 0;
  virtual absl::StatusOr<v1::Evaluation> Evaluate(const v1::EvaluateRequest& request) = 0;
  virtual absl::Status EndStage(const v1::EndStageRequest& request) = 0;
  virtual absl::Status FailRun(const v1::FailRunRequest& request) = 0;
  // All prompts of a sealed set, in order.
  virtual absl::StatusOr<std::vector<v1::Prompt>> ReadPrompts(const std::string& prompt_set) = 0;
};

// Where the learner's weights go.
class WeightsSink {
 public:
  virtual ~WeightsSink() = default;
  // As Publisher::Publish. What lends weights instead of copying them overrides Recall as well;
  // the layout lives as long as somebody may recall them.
  virtual void Publish(const WeightsVersion& v) = 0;
  // Called before published weights are changed in place: returns when nobody reads them any more,
  // after one step of a worker at most. May be called in vain, which costs nothing.
  virtual void Recall(const Weights& /*weights*/) {}
};

}  // namespace hone
