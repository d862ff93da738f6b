#include "libs/loop/rollout_loop.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "libs/base/log.h"
#include "libs/base/periodic.h"
#include "libs/base/status.h"
#include "libs/loop/assignment.h"
#include "libs/loop/device_memory.h"

namespace hone {
namespace {

constexpr auto kPoll =
    std::chrono::seconds(2);  // how long one call waits for work at the coordinator

google::protobuf::Duration ToProto(Duration d) {
  return google::protobuf::util::TimeUtil::NanosecondsToDuration(d.count());
}

}  // namespace

RolloutLoop::RolloutLoop(const Options& options, PromptSource& prompts, VerdictSource& verdicts,
                         TrajectorySink& sink, WeightsSource& weights, Metrics* metrics)
    : options_(options),
      prompts_(prompts),
      verdicts_(verdicts),
      sink_(sink),
      weights_(weights),
      ledger_(
          {"idle", "generate", "wait_prompts", "wait_weights", "swap_weights", "wait_verdicts"}),
      commits_("group commits", 4096) {
  if (metrics == nullptr) return;
  exported_.push_back(ExportLedger(*metrics, "rollout", ledger_));
  tokens_ =
      metrics->AddCounter("hone_rollout_tokens_total", "Tokens by kind.", {{"kind", "completion"}});
  prefill_tokens_ =
      metrics->AddCounter("hone_rollout_tokens_total", "Tokens by kind.", {{"kind", "prompt"}});
  groups_ = metrics->AddCounter("hone_rollout_groups_total", "Groups committed.");
  completions_ = metrics->AddCounter("hone_rollout_completions_total", "Completions generated.");
  exported_.push_back(metrics->AddCallback(
      MetricKind::kGauge, "hone_rollout_running_sequences", "Sequences being generated.",
      [this] { return static_cast<double>(stats().running); }));
  exported_.push_back(metrics->AddCallback(
      MetricKind::kGauge, "hone_rollout_weights_version", "Weights version in use.",
      [this] { return static_cast<double>(stats().weights_version); }));
}

RolloutLoop::~RolloutLoop() = default;

RolloutLoop::Stats RolloutLoop::stats() const {
  MutexLock lock(mu_);
  return stats_;
}

void RolloutLoop::Stop(bool drain) {
  MutexLock lock(mu_);
  stop_ = true;
  drain_ = drain;
  wake_.notify_all();
}

v1::RegisterWorkerRequest RolloutLoop::Registration(Duration wait) const {
  v1::RegisterWorkerRequest request;
  request.set_worker_id(options_.worker_id);
  request.set_incarnation(options_.incarnation);
  *request.mutable_wait() = ToProto(wait);
  MutexLock lock(mu_);
  request.set_weights_version(version_);
  return request;
}

absl::Status RolloutLoop::Run() {
  // Several, because each waits for the coordinator's disk, which serves many as fast as one.
  std::vector<std::thread> committers;
  for (int i = 0; i < 8; ++i) committers.emplace_back([this] { CommitThread(); });
  absl::Status status;
  {
    MutexLock lock(mu_);
    visitable_ = true;
  }
  while (true) {
    {
      MutexLock lock(mu_);
      if (stop_) break;
      reassigned_ = false;
      version_ = -1;
      given_back_.reset();
    }
    ServeVisits(nullptr);
    auto assigned = prompts_.Register(Registration(kPoll));
    if (!assigned.ok()) {
      status = assigned.status();
      break;
    }
    if (assigned->run_id().empty() || assigned->weights_address().empty()) {
      // A coordinator that answers at once must not be asked in a hot loop.
      MutexLock lock(mu_);
      lock.WaitUntil(wake_, std::chrono::steady_clock::now() + std::chrono::milliseconds(100),
                     [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stop_; });
      continue;
    }
    status = Serve(*assigned);
    if (!status.ok()) break;
  }
  {
    MutexLock lock(mu_);
    visitable_ = false;
  }
  ServeVisits(nullptr);
  {
    // Verdicts call back into this object, and what was generated is worth committing.
    MutexLock lock(mu_);
    lock.WaitUntil(wake_, kNoDeadline, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return scoring_ == 0 && judging_ == 0;
    });
  }
  commits_.Close();
  for (std::thread& t : committers) t.join();
  return absl::IsCancelled(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::unique_ptr<RolloutLoop::Assignment>> RolloutLoop::Prepare(
    const v1::RegisterWorkerResponse& assigned) {
  auto a = std::make_unique<Assignment>();
  a->run_id = assigned.run_id();
  a->weights_address = assigned.weights_address();
  a->lease_seconds = std::max<int64_t>(3, assigned.lease_seconds());
  HONE_ASSIGN_OR_RETURN(a->folder, OpenModelFolder(assigned.model()));
  const bool lent = weights_.BringsBase(a->weights_address);
  HONE_RETURN_IF_ERROR(CheckRolloutMemory(a->folder,
                                          {.cache_tokens = options_.cache_tokens,
                                           .batch_tokens = options_.max_batch_tokens,
                                           .sequences = options_.max_sequences},
                                          lent));
  a->transformer = std::make_unique<Transformer>(a->folder.config, a->folder.max_context,
                                                 a->folder.lora, *a->folder.table);
  if (a->transformer->layout().adapted() && !lent) {
    a->base =
        std::make_shared<Weights>(a->transformer->layout(), a->folder.dtype, *a->folder.table);
    HONE_RETURN_IF_ERROR(
        LoadModelWeights(assigned.model(), a->folder, a->transformer->layout(), *a->base));
  }
  Assignment* raw = a.get();
  a->engine =
      std::make_unique<Engine>(*a->transformer, a->folder.tokenizer.get(),
                               Engine::Options{.threads = options_.threads,
                                               .max_batch_tokens = options_.max_batch_tokens,
                                               .max_sequences = options_.max_sequences,
                                               .cache_tokens = options_.cache_tokens,
                                               .dtype = a->folder.dtype,
                                               .vocab = a->folder.vocab},
                               [this, raw](const GroupRequest& request, v1::Completion completion) {
                                 Finished(*raw, request, std::move(completion));
                               });
  return a;
}

absl::Status RolloutLoop::Serve(const v1::RegisterWorkerResponse& assigned) {
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<Assignment> assignment, Prepare(assigned));
  Assignment& a = *assignment;
  Log(LogLevel::kInfo, "serving run",
      {{"run", a.run_id}, {"weights", a.weights_address}, {"device", a.folder.table->name}});
  {
    MutexLock lock(mu_);
    stats_ = {.run_id = a.run_id};
    weights_arrived_ = false;
  }
  weights_.Follow(a.run_id, a.weights_address, *a.transformer, a.folder.dtype, a.base, [this] {
    MutexLock lock(mu_);
    weights_arrived_ = true;
    wake_.notify_all();
  });
  std::thread leaser([this, &a] { LeaseThread(a); });
  {
    // Keeps the leases alive and notices a change of run or of the learner's address.
    Periodic heartbeat(
        "heartbeat", std::chrono::seconds(std::max<int64_t>(1, a.lease_seconds / 6)), [this, &a] {
          const auto now = prompts_.Register(Registration(Duration::zero()));
          if (!now.ok()) return;
          const bool same =
              now->run_id() == a.run_id &&
              (now->weights_address() == a.weights_address || now->weights_address().empty());
          if (same) return;
          MutexLock lock(mu_);
          reassigned_ = true;
          wake_.notify_all();
        });
    while (!Done(a)) {
      SwapWeights(a);
      std::vector<v1::Lease> leases;
      {
        MutexLock lock(mu_);
        const auto due = std::stable_partition(
            leased_.begin(), leased_.end(),
            [this](const v1::Lease& l) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !IsDue(l); });
        leases.assign(std::make_move_iterator(due), std::make_move_iterator(leased_.end()));
        leased_.erase(due, leased_.end());
      }
      for (const v1::Lease& lease : leases) Submit(a, lease);
      ServeVisits(&a);
      GiveBack(a);
      bool worked = false;
      if (a.engine->version() >= 0) {
        auto scope = ledger_.Enter("generate");
        worked = a.engine->Step();
      }
      MutexLock lock(mu_);
      tokens_.Increment(static_cast<double>(a.engine->generated_tokens() - a.counted_generated));
      prefill_tokens_.Increment(
          static_cast<double>(a.engine->prefilled_tokens() - a.counted_prefilled));
      a.counted_generated = a.engine->generated_tokens();
      a.counted_prefilled = a.engine->prefilled_tokens();
      stats_.running = a.engine->running();
      stats_.waiting = a.engine->waiting_requests();
      stats_.generated_tokens = a.counted_generated;
      if (worked) continue;
      const char* state = judging_ > 0                  ? "wait_verdicts"
                          : version_ < 0 || given_back_ ? "wait_weights"
                                                        : "wait_prompts";
      auto scope = ledger_.Enter(state);
      lock.WaitUntil(wake_, std::chrono::steady_clock::now() + std::chrono::milliseconds(50),
                     [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
                       return stop_ || reassigned_ || weights_arrived_ ||
                              (!given_back_ && !visits_.empty()) || AnyDue();
                     });
    }
    weights_.Unfollow();  // first: a learner may wait for them
  }
  for (auto& [id, done] : a.visitors) {  // their callers must not wait for ever
    v1::Completion completion;
    completion.set_finish_reason(v1::FINISH_REASON_ABORT);
    done(std::move(completion));
  }
  {
    MutexLock lock(mu_);
    if (!stop_) reassigned_ = true;  // ends the lease thread
    wake_.notify_all();
  }
  leaser.join();
  // Hand back what is not finished.
  v1::ReturnLeasesRequest give_back;
  give_back.set_worker_id(options_.worker_id);
  give_back.set_run_id(a.run_id);
  give_back.set_reason("worker drains");
  for (auto& [id, group] : a.groups) {
    group->aborted = true;
    MutexLock lock(group->mu);
    give_back.add_lease_ids(group->commit.lease_id());
  }
  {
    MutexLock lock(mu_);
    for (const v1::Lease& lease : leased_) give_back.add_lease_ids(lease.lease_id());
    leased_.clear();
    sequences_ = 0;
  }
  if (give_back.lease_ids_size() > 0) {
    const absl::Status returned = prompts_.Return(give_back);
    if (!returned.ok())
      Log(LogLevel::kWarning, absl::StrCat("return leases: ", std::string(returned.message())));
  }
  // Verdicts that are on their way refer to nothing of this assignment but their groups.
  return absl::OkStatus();
}

bool RolloutLoop::Done(Assignment& a) const {
  MutexLock lock(mu_);
  if (reassigned_) return true;
  if (!stop_) return false;
  return !drain_ || (a.groups.empty() && !AnyDue());
}

void RolloutLoop::LeaseThread(Assignment& a) {
  NameThisThread("lease");
  while (true) {
    v1::LeasePromptsRequest request;
    {
      MutexLock lock(mu_);
      lock.WaitUntil(wake_, kNoDeadline, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stop_ || reassigned_ ||
               (version_ >= 0 && !given_back_ && sequences_ - Ahead() < options_.max_sequences);
      });
      if (stop_ || reassigned_) return;
      request.set_weights_version(version_);
      request.set_max_groups(static_cast<int32_t>(std::clamp<int64_t>(
          (options_.max_sequences - sequences_ + Ahead()) / 8, 1, 8)));  // leave some to others
      request.set_ahead(Ahead() < options_.max_sequences);
    }
    request.set_worker_id(options_.worker_id);
    request.set_incarnation(options_.incarnation);
    request.set_run_id(a.run_id);
    request.set_request_id(options_.incarnation + static_cast<uint64_t>(++request_ids_));
    *request.mutable_wait() = ToProto(kPoll);
    const auto response = prompts_.Lease(request);
    MutexLock lock(mu_);
    if (!response.ok()) {
      // The run has ended, or somebody else has this worker's name: registering anew tells what to
      // do.
      Log(LogLevel::kInfo,
          absl::StrCat("no more leases: ", std::string(response.status().message())),
          {{"run", a.run_id}});
      reassigned_ = true;
      wake_.notify_all();
      return;
    }
    for (const v1::Lease& lease : response->leases()) {
      sequences_ += lease.group_size();
      leased_.push_back(lease);
    }
    if (response->leases_size() > 0) {
      wake_.notify_all();
    } else if (response->awaiting_weights()) {
      // Nothing more for these weights: ask again when they have changed.
      const int64_t asked = request.weights_version();
      lock.WaitUntil(wake_, std::chrono::steady_clock::now() + std::chrono::milliseconds(500),
                     [this, asked]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
                       return stop_ || reassigned_ || version_ != asked;
                     });
    }
  }
}

// Leases of the next step, taken ahead, wait for its weights; so does what came too late for
// weights that are given back.
bool RolloutLoop::IsDue(const v1::Lease& lease) const {
  return !given_back_ && lease.exact_version() <= version_;
}

bool RolloutLoop::AnyDue() const {
  for (const v1::Lease& l : leased_)
    if (IsDue(l)) return true;
  return false;
}

int64_t RolloutLoop::Ahead() const {
  int64_t sequences = 0;
  for (const v1::Lease& l : leased_)
    if (!IsDue(l)) sequences += l.group_size();
  return sequences;
}

bool RolloutLoop::SwapWeights(Assignment& a) {
  if (a.pinned > 0) return false;
  {
    MutexLock lock(mu_);
    if (!weights_arrived_) return false;
    // Leases that must end under the present version come first.
    for (const v1::Lease& lease : leased_)
      if (IsDue(lease) && lease.exact_version() >= 0 && lease.exact_version() == version_)
        return false;
    weights_arrived_ = false;
  }
  auto scope = ledger_.Enter("swap_weights");
  WeightsSource::Arrival arrival = weights_.Take();
  if (arrival.weights == nullptr || arrival.version < a.engine->version()) return false;
  // The same version comes again from a learner that began again.
  const bool newer = arrival.version > a.engine->version();
  a.engine->SetWeights(std::move(arrival.weights), arrival.version,
                       newer ? options_.in_flight : InFlight::kKeep);
  MutexLock lock(mu_);
  version_ = arrival.version;
  given_back_.reset();
  stats_.weights_version = arrival.version;
  wake_.notify_all();
  return true;
}

// A learner in this process changes its weights in place. If nothing is being generated the engine
// waits for what becomes of them, else it goes on with a copy: the keys and values of what is in
// flight stay right.
void RolloutLoop::GiveBack(Assignment& a) {
  if (!weights_.Recalled()) return;
  auto scope = ledger_.Enter("swap_weights");
  a.engine->Synchronize();
  const bool busy = a.engine->running() > 0 || a.engine->waiting_requests() > 0;
  if (!busy) {
    MutexLock lock(mu_);
    given_back_ = std::chrono::steady_clock::now();
  }
  std::shared_ptr<const Weights> copy = weights_.GiveBack(busy);
  if (busy) a.engine->SetWeights(std::move(copy), a.engine->version(), InFlight::kKeep);
}

}  // namespace hone
