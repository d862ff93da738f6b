#pragma once

// The coordinator's durable state: prompt sets, runs, leases, groups, batches, evaluations. One
// public call per RPC of prompt.proto, run.proto and coordinator.proto, with the meaning and the
// errors written there; nothing here waits and nothing here knows gRPC. README.md explains the
// states and the keys.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/buffer/issue_queue.h"
#include "libs/buffer/prompt_sets.h"
#include "libs/buffer/records.h"
#include "libs/buffer/store.h"
#include "libs/buffer/workers.h"
#include "proto/hone/v1/coordinator.pb.h"

namespace hone {

// What may have changed, as a set of bits: those who wait for it look again.
using Topics = uint32_t;
inline constexpr Topics kWork = 1;         // there may be something to lease
inline constexpr Topics kBatch = 2;        // a batch may be ready
inline constexpr Topics kRuns = 4;         // a run's state, or who may acquire it
inline constexpr Topics kEvaluations = 8;  // an evaluation moved on
inline constexpr Topics kEverything = ~Topics{0};

struct BufferOptions {
  std::string path;            // the data folder; one process at a time
  bool fsync = true;           // answers wait for the disk: nothing is lost with the machine either
  int64_t lease_seconds = 30;  // a worker that is silent for so long loses its leases
  int64_t max_attempts = 0;    // an issue that lost so many leases is dropped; 0: never
  const Clock* clock = &SystemClock::Get();
};

// Thread-safe. A call's changes are applied together or not at all, and survive the end of the
// process when the call returns; an answer that promises durability is given after Sync or
// WhenSynced.
class Buffer {
 public:
  static absl::StatusOr<std::unique_ptr<Buffer>> Open(const BufferOptions& options);
  ~Buffer();

  // Called after changes, without locks held, possibly from several threads at once. Set it before
  // use.
  void OnChange(std::function<void(Topics)> changed) { changed_ = std::move(changed); }
  absl::Status Sync() { return store_->Sync(); }
  void WhenSynced(std::function<void(absl::Status)> done) { store_->WhenSynced(std::move(done)); }
  // Returns the leases of silent workers and settles evaluations that nobody can finish. To be
  // called about once a second.
  absl::Status Tick();

  // --- prompt sets ---
  absl::StatusOr<v1::PromptSet> CreatePromptSet(const std::string& id);
  absl::StatusOr<v1::PromptSet> AppendPrompts(const std::string& id, int64_t offset,
                                              absl::string_view lines);
  absl::StatusOr<v1::PromptSet> SealPromptSet(const v1::SealPromptSetRequest& request);
  absl::Status DeletePromptSet(const std::string& id);
  const PromptSets& prompt_sets() const { return sets_; }

  // --- runs ---
  absl::StatusOr<v1::Run> CreateRun(const v1::CreateRunRequest& request);
  absl::StatusOr<v1::Run> GetRun(const std::string& run_id) const;
  absl::StatusOr<v1::ListRunsResponse> ListRuns(const v1::ListRunsRequest& request) const;
  absl::StatusOr<v1::Run> PauseRun(const std::string& run_id);
  absl::StatusOr<v1::Run> ResumeRun(const std::string& run_id);
  absl::StatusOr<v1::Run> CancelRun(const std::string& run_id);
  absl::StatusOr<v1::ListStepMetricsResponse> ListStepMetrics(
      const v1::ListStepMetricsRequest& request) const;
  absl::StatusOr<v1::ListEvaluationsResponse> ListEvaluations(
      const v1::ListEvaluationsRequest& request) const;
  absl::StatusOr<v1::ListGroupsResponse> ListGroups(const v1::ListGroupsRequest& request) const;
  absl::StatusOr<v1::ListIssuesResponse> ListIssues(const v1::ListIssuesRequest& request) const;
  absl::StatusOr<v1::GetClusterStatusResponse> GetClusterStatus() const;

  // --- rollout workers ---
  absl::StatusOr<v1::RegisterWorkerResponse> RegisterWorker(
      const v1::RegisterWorkerRequest& request);
  // `*settled`: waiting longer for work under this weights version is in vain.
  absl::StatusOr<v1::LeasePromptsResponse> LeasePrompts(const v1::LeasePromptsRequest& request,
                                                        bool* settled);
  absl::StatusOr<v1::CommitGroupResponse> CommitGroup(const v1::CommitGroupRequest& request);
  absl::Status ReturnLeases(const v1::ReturnLeasesRequest& request);

  // --- the learner ---
  absl::StatusOr<v1::AcquireRunResponse> AcquireRun(const v1::AcquireRunRequest& request);
  absl::Status BeginStage(const v1::BeginStageRequest& request);
  // The numbers of the step's issues; UNAVAILABLE when the batch is not ready yet: then `*sure`
  // (may be null) are those that will be in it for certain.
  absl::StatusOr<v1::StoredBatch> PullBatch(const v1::PullBatchRequest& request,
                                            std::vector<int64_t>* sure = nullptr);
  // A group of a batch. Never changes once there.
  absl::StatusOr<v1::Group> ReadGroup(const QueueId& queue, int64_t issue) const;
  absl::StatusOr<v1::RunState> CommitStep(const v1::CommitStepRequest& request);
  absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request);
  absl::StatusOr<v1::Evaluation> Evaluate(const v1::EvaluateRequest& request);
  absl::Status EndStage(const v1::EndStageRequest& request);
  absl::Status FailRun(const v1::FailRunRequest& request);

  // Since Open.
  struct Counters {
    std::atomic<int64_t> leased{0};
    std::atomic<int64_t> committed{0};
    std::atomic<int64_t> duplicates{0};  // repeats of a commit, acknowledged
    std::atomic<int64_t> conflicts{0};   // other bits for a committed issue, refused
    std::atomic<int64_t> returned{0};
    std::atomic<int64_t> expired{0};
    std::atomic<int64_t> dropped{0};
    std::atomic<int64_t> steps{0};
  };
  // Not OK after a write failed: no other will succeed until the folder is opened again.
  absl::Status health() const { return store_->health(); }
  const Counters& counters() const { return counters_; }
  Store::Stats disk() const { return store_->stats(); }

 private:
  struct Announce;

  Buffer(const BufferOptions& options, std::unique_ptr<Store> store);

  absl::Status AssumeHolders() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Settle(Topics* topics) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Runs.
  absl::StatusOr<v1::StoredRun> LoadLiveRun(const std::string& run_id) const;
  // For the learner's calls: ABORTED when `incarnation` is not the holder's (0: not checked), and
  // the second one when the run has ended. A sign of life of the holder.
  absl::StatusOr<v1::StoredRun> LoadRunOf(const std::string& run_id, uint64_t incarnation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<v1::StoredRun> LoadLiveRunOf(const std::string& run_id, uint64_t incarnation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status SetState(const std::string& run_id, v1::RunState from, v1::RunState to,
                        v1::Run* result);
  absl::Status EndRun(WriteBatch& batch, v1::StoredRun& run, v1::RunState state,
                      const std::string& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PutRun(WriteBatch& batch, v1::StoredRun& run) const;
  // Queues of begun, not ended stages and of open evaluations.
  absl::StatusOr<std::vector<IssueQueue>> OpenQueues(const v1::Run& run) const;
  // Drops all of the queue that was not trained.
  absl::Status DropOpen(WriteBatch& batch, IssueQueue& queue, const std::string& reason);

  // Leases.
  absl::Status HearWorker(const std::string& id, uint64_t incarnation, Topics* topics)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Returns the leases for which `lost` holds; `reason` goes into their histories.
  absl::Status TakeBack(IssueQueue queue, const std::function<bool(const v1::StoredIssue&)>& lost,
                        const std::string& reason, bool drop, int64_t* taken)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The leases that an earlier call with this request id got, when its answer may have been lost.
  absl::Status LeaseAgain(const v1::StoredRun& run, const v1::LeasePromptsRequest& request,
                          v1::LeasePromptsResponse* response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status LeaseEvaluations(const v1::StoredRun& run, const v1::LeasePromptsRequest& request,
                                v1::LeasePromptsResponse* response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status LeaseStage(const v1::StoredRun& run, const v1::LeasePromptsRequest& request,
                          v1::LeasePromptsResponse* response, bool* open)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<int64_t> ShareAhead(const v1::LeasePromptsRequest& request,
                                     const v1::GrpoStage& stage, const IssueQueue& queue,
                                     int64_t first) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Describe(const v1::RunSpec& spec, const QueueId& queue, const v1::StoredIssue& issue,
                       v1::Prompt prompt, v1::Lease* lease);
  absl::Status Lease(const v1::StoredRun& run, IssueQueue& queue, v1::StoredIssue& issue,
                     const v1::LeasePromptsRequest& request, WriteBatch& batch,
                     v1::LeasePromptsResponse* response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Evaluations.
  absl::Status StartEvaluation(WriteBatch& batch, const v1::StoredRun& run,
                               const v1::EvaluationSpec& spec, int64_t step) const;
  absl::Status StartDue(WriteBatch& batch, const v1::StoredRun& run, const v1::StageSpec& stage,
                        int64_t stage_step, int64_t step) const;
  // Closes `e` with the result of its committed prompts, and of `extra` if not null, which this
  // batch commits.
  absl::Status Finish(WriteBatch& batch, const std::string& run_id, v1::Evaluation e,
                      const IssueQueue& queue, const v1::StoredIssue* extra,
                      const std::string& note) const;
  absl::Status SettleEvaluations(const v1::StoredRun& run, Topics* topics)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Duration silence_limit() const { return std::chrono::seconds(options_.lease_seconds); }

  const BufferOptions options_;
  const std::unique_ptr<Store> store_;
  std::function<void(Topics)> changed_;
  mutable Mutex mu_;
  PromptSets sets_;  // changes under mu_
  Workers rollouts_ ABSL_GUARDED_BY(mu_);
  Workers learners_ ABSL_GUARDED_BY(mu_);
  int64_t next_lease_ ABSL_GUARDED_BY(mu_) = 1;
  const TimePoint opened_;
  Counters counters_;
};

}  // namespace hone
