#pragma once

// Coordinator and reward service of one rollout loop, by the hand of a test.

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/loop/interfaces.h"
#include "tests/testing/test.h"

namespace hone::testing {

// Eight completions of the demo's kind under one version; -1: any.
inline v1::Lease MakeLease(int64_t id, int64_t exact_version) {
  v1::Lease lease;
  lease.set_stage("grpo");
  lease.set_issue(id);
  lease.mutable_prompt()->set_id(absl::StrCat("p", id));
  lease.mutable_prompt()->set_text("Use 3, 4 to make 7");
  lease.set_group_size(8);
  lease.mutable_sampling()->set_temperature(1);
  lease.mutable_sampling()->set_max_new_tokens(40);
  lease.set_seed(17);
  lease.set_exact_version(exact_version);
  lease.set_lease_id(id);
  return lease;
}

class ScriptedCluster final : public PromptSource, public TrajectorySink, public VerdictSource {
 public:
  // The worker's run from now on, whose weights are `here`. Leases of the run before are refused.
  void Assign(const std::string& run_id, const v1::ModelSpec& model) {
    MutexLock lock(mu_);
    assigned_.set_run_id(run_id);
    *assigned_.mutable_model() = model;
    assigned_.set_weights_address("here");
    changed_.notify_all();
  }
  void Add(const v1::Lease& lease) {
    MutexLock lock(mu_);
    leases_.push_back(lease);
    changed_.notify_all();
  }
  // Every call ends, with CANCELLED.
  void Stop() {
    MutexLock lock(mu_);
    stop_ = true;
    changed_.notify_all();
  }
  // Completions are judged at once, or, closed, halt the worker's engine until Pass lets one go by.
  void Close() { SetOpen(false); }
  void Open() { SetOpen(true); }
  void Pass() {
    MutexLock lock(mu_);
    ++passes_;
    changed_.notify_all();
  }
  int waiting_verdicts() const {
    MutexLock lock(mu_);
    return waiting_ - passes_;
  }
  size_t leases() const {  // not taken yet
    MutexLock lock(mu_);
    return leases_.size();
  }
  int lease_calls() const {
    MutexLock lock(mu_);
    return lease_calls_;
  }
  std::vector<int64_t> Returned() const {
    MutexLock lock(mu_);
    return returned_;
  }
  std::optional<v1::Group> Committed(int64_t lease_id) const {
    MutexLock lock(mu_);
    const auto it = committed_.find(lease_id);
    return it == committed_.end() ? std::nullopt : std::optional(it->second);
  }

  absl::StatusOr<v1::RegisterWorkerResponse> Register(const v1::RegisterWorkerRequest&) override {
    MutexLock lock(mu_);
    if (stop_) return absl::CancelledError("stopping");
    return assigned_;
  }
  absl::StatusOr<v1::LeasePromptsResponse> Lease(const v1::LeasePromptsRequest& request) override {
    MutexLock lock(mu_);
    ++lease_calls_;
    lock.WaitUntil(changed_, std::chrono::steady_clock::now() + std::chrono::seconds(2),
                   [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
                     return stop_ || !leases_.empty() || request.run_id() != assigned_.run_id();
                   });
    if (stop_) return absl::CancelledError("stopping");
    if (request.run_id() != assigned_.run_id()) return absl::FailedPreconditionError("ended");
    v1::LeasePromptsResponse response;
    for (const v1::Lease& lease : leases_) {
      *response.add_leases() = lease;
      response.mutable_leases()->rbegin()->set_run_id(request.run_id());
    }
    leases_.clear();
    return response;
  }
  absl::Status Return(const v1::ReturnLeasesRequest& request) override {
    MutexLock lock(mu_);
    returned_.insert(returned_.end(), request.lease_ids().begin(), request.lease_ids().end());
    return absl::OkStatus();
  }
  absl::StatusOr<v1::CommitGroupResponse> Commit(const v1::CommitGroupRequest& request) override {
    MutexLock lock(mu_);
    committed_[request.lease_id()] = request.group();
    return v1::CommitGroupResponse();
  }
  void Score(const v1::RewardSpec&, v1::ScoreItem, std::function<void(v1::Verdict)> done) override {
    {
      MutexLock lock(mu_);
      if (!open_) {
        ++waiting_;
        lock.Wait(changed_,
                  [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return open_ || passes_ > 0; });
        --waiting_;
        passes_ = std::max(0, passes_ - 1);
      }
    }
    done(v1::Verdict());
  }

 private:
  void SetOpen(bool open) {
    MutexLock lock(mu_);
    open_ = open;
    changed_.notify_all();
  }

  mutable Mutex mu_;
  std::condition_variable changed_;
  v1::RegisterWorkerResponse assigned_ ABSL_GUARDED_BY(mu_);
  std::deque<v1::Lease> leases_ ABSL_GUARDED_BY(mu_);
  std::vector<int64_t> returned_ ABSL_GUARDED_BY(mu_);
  std::map<int64_t, v1::Group> committed_ ABSL_GUARDED_BY(mu_);
  int lease_calls_ ABSL_GUARDED_BY(mu_) = 0;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool open_ ABSL_GUARDED_BY(mu_) = true;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0, passes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hone::testing
