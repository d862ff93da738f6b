#pragma once

// The whole system in one process and without gRPC: a Buffer, a RewardFunction and a Publisher
// behind the interfaces that the loops know.

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <thread>

#include "google/protobuf/util/time_util.h"
#include "libs/base/check.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/buffer/buffer.h"
#include "libs/loop/interfaces.h"
#include "libs/reward/reward_function.h"
#include "libs/weights/publisher.h"
#include "libs/weights/stager.h"
#include "tests/testing/test.h"

namespace hone::testing {

// The coordinator by direct calls; those that wait do so in the caller's thread.
class LocalCoordinator final : public PromptSource, public TrajectorySink, public TrajectorySource {
 public:
  explicit LocalCoordinator(Buffer& buffer) : buffer_(buffer) {
    buffer.OnChange([this](Topics) {
      MutexLock lock(mu_);
      ++changes_;
      changed_.notify_all();
    });
  }
  // Every wait ends, with CANCELLED.
  void Stop() {
    MutexLock lock(mu_);
    stop_ = true;
    changed_.notify_all();
  }
  void Restart() {
    MutexLock lock(mu_);
    stop_ = false;
  }

  absl::StatusOr<v1::RegisterWorkerResponse> Register(
      const v1::RegisterWorkerRequest& request) override {
    return Wait<v1::RegisterWorkerResponse>(
        request.wait(), [&] { return buffer_.RegisterWorker(request); },
        [](const auto& r) { return !r.run_id().empty() && !r.weights_address().empty(); });
  }
  absl::StatusOr<v1::LeasePromptsResponse> Lease(const v1::LeasePromptsRequest& request) override {
    bool settled = false;
    return Wait<v1::LeasePromptsResponse>(
        request.wait(), [&] { return buffer_.LeasePrompts(request, &settled); },
        [&](const auto& r) { return settled || r.leases_size() > 0; });
  }
  absl::Status Return(const v1::ReturnLeasesRequest& request) override {
    return buffer_.ReturnLeases(request);
  }
  absl::StatusOr<v1::CommitGroupResponse> Commit(const v1::CommitGroupRequest& request) override {
    return buffer_.CommitGroup(request);
  }
  absl::StatusOr<v1::AcquireRunResponse> AcquireRun(const v1::AcquireRunRequest& request) override {
    return Wait<v1::AcquireRunResponse>(
        request.wait(), [&] { return buffer_.AcquireRun(request); },
        [](const auto& r) { return !r.run_id().empty(); });
  }
  absl::Status BeginStage(const v1::BeginStageRequest& request) override {
    return buffer_.BeginStage(request);
  }
  absl::StatusOr<Batch> PullBatch(const v1::PullBatchRequest& request) override {
    const auto stored = Wait<v1::StoredBatch>(
        request.wait(),
        [&]() -> absl::StatusOr<v1::StoredBatch> {
          auto batch = buffer_.PullBatch(request);
          if (absl::IsUnavailable(batch.status())) return v1::StoredBatch();
          return batch;
        },
        [](const auto& b) { return b.issues_size() > 0; });
    HONE_RETURN_IF_ERROR(stored.status());
    if (stored->issues_size() == 0) return absl::UnavailableError("not ready");
    Batch batch;
    for (int64_t issue : stored->issues()) {
      HONE_ASSIGN_OR_RETURN(
          v1::Group group,
          buffer_.ReadGroup({.run = request.run_id(), .name = request.stage()}, issue));
      batch.groups.push_back(std::move(group));
    }
    return batch;
  }
  absl::StatusOr<v1::CommitStepResponse> CommitStep(const v1::CommitStepRequest& request) override {
    HONE_ASSIGN_OR_RETURN(const v1::RunState state, buffer_.CommitStep(request));
    v1::CommitStepResponse response;
    response.set_state(state);
    return response;
  }
  absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request) override {
    return buffer_.CommitCheckpoint(request);
  }
  absl::StatusOr<v1::Evaluation> Evaluate(const v1::EvaluateRequest& request) override {
    return Wait<v1::Evaluation>(
        request.wait(), [&] { return buffer_.Evaluate(request); },
        [](const auto& e) { return e.done(); });
  }
  absl::Status EndStage(const v1::EndStageRequest& request) override {
    return buffer_.EndStage(request);
  }
  absl::Status FailRun(const v1::FailRunRequest& request) override {
    return buffer_.FailRun(request);
  }
  absl::StatusOr<std::vector<v1::Prompt>> ReadPrompts(const std::string& prompt_set) override {
    std::vector<v1::Prompt> prompts;
    HONE_RETURN_IF_ERROR(buffer_.prompt_sets().Read(prompt_set, 0, 0, [&](v1::Prompt prompt) {
      prompts.push_back(std::move(prompt));
      return true;
    }));
    return prompts;
  }

 private:
  template <typename T, typename Call, typename Ready>
  absl::StatusOr<T> Wait(const google::protobuf::Duration& wait, Call call, Ready ready) {
    const TimePoint deadline =
        std::chrono::steady_clock::now() +
        std::chrono::nanoseconds(google::protobuf::util::TimeUtil::DurationToNanoseconds(wait));
    while (true) {
      int64_t seen = 0;
      {
        MutexLock lock(mu_);
        if (stop_) return absl::CancelledError("stopping");
        seen = changes_;
      }
      absl::StatusOr<T> result = call();
      if (!result.ok() || ready(*result) || std::chrono::steady_clock::now() >= deadline)
        return result;
      MutexLock lock(mu_);
      lock.WaitUntil(changed_, deadline, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stop_ || changes_ != seen;
      });
    }
  }

  Buffer& buffer_;
  Mutex mu_;
  std::condition_variable changed_;
  int64_t changes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
};

// Scores in the caller's thread.
class LocalVerdicts final : public VerdictSource {
 public:
  void Score(const v1::RewardSpec& reward, v1::ScoreItem item,
             std::function<void(v1::Verdict)> done) override {
    const auto function = RewardFunction::Create(reward);
    HONE_CHECK(function.ok()) << function.status().ToString();  // other threads may not use Catch
    done(function->Score(item));
  }
};

// The learner's versions, as they would travel, into each follower.
class LocalWeights final : public WeightsSink {
 public:
  class Source final : public WeightsSource {
   public:
    explicit Source(LocalWeights& sink) : sink_(sink) {}
    ~Source() override { sink_.Leave(this); }
    void Follow(const std::string& run_id, const std::string&, const Transformer& transformer,
                DType dtype, std::shared_ptr<const Weights> base,
                std::function<void()> arrived) override {
      sink_.Leave(this);
      {
        MutexLock lock(mu_);
        stager_ = std::make_unique<Stager>(run_id, transformer.layout(), dtype, std::move(base),
                                           transformer.table());
        arrived_ = std::move(arrived);
      }
      sink_.Join(this);
    }
    void Unfollow() override { sink_.Leave(this); }
    Arrival Take() override {
      MutexLock lock(mu_);
      return std::exchange(arrival_, {});
    }

   private:
    friend class LocalWeights;
    void Receive(const Publisher::Transfers& transfers) {
      std::function<void()> arrived;
      {
        MutexLock lock(mu_);
        for (const auto& transfer : transfers) {
          if (transfer->version() <= stager_->have_version()) continue;
          absl::Status status = stager_->Begin(transfer->manifest());
          for (const v1::SubscribeResponse& message : transfer->chunks())
            if (status.ok()) status = stager_->Add(message.chunk());
          HONE_CHECK(status.ok()) << status.ToString();
          arrival_ = {stager_->Take(), transfer->version()};
          if (!transfer->whole()) ++sink_.changes_;
        }
        arrived = arrived_;
      }
      arrived();
    }
    LocalWeights& sink_;
    Mutex mu_;
    std::unique_ptr<Stager> stager_;
    std::function<void()> arrived_;
    Arrival arrival_;
  };

  void Publish(const WeightsVersion& v) override {
    publisher_.Publish(v);
    MutexLock lock(mu_);
    changed_.notify_all();
  }
  // Transfers of changes, to all followers.
  int changes() const { return changes_; }
  ~LocalWeights() override {
    {
      MutexLock lock(mu_);
      stop_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

 private:
  void Join(Source* s) {
    MutexLock lock(mu_);
    followers_[s] = -1;
    changed_.notify_all();
  }
  void Leave(Source* s) {
    MutexLock lock(mu_);
    followers_.erase(s);
  }
  void Loop() {
    while (true) {
      MutexLock lock(mu_);
      const auto behind = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) -> Source* {
        const auto newest = publisher_.newest();
        for (const auto& [s, version] : followers_)
          if (newest != nullptr && version < newest->version()) return s;
        return nullptr;
      };
      lock.WaitUntil(changed_, kNoDeadline, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stop_ || behind() != nullptr;
      });
      if (stop_) return;
      Source* s = behind();
      const auto transfers =
          publisher_.WaitFor(publisher_.newest()->manifest().run_id(), followers_[s], TimePoint{});
      followers_[s] = transfers.back()->version();
      s->Receive(transfers);
    }
  }

  Mutex mu_;
  std::condition_variable changed_;
  Publisher publisher_;
  std::atomic<int> changes_ = 0;
  std::map<Source*, int64_t> followers_ ABSL_GUARDED_BY(mu_);
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_{[this] { Loop(); }};
};

}  // namespace hone::testing
