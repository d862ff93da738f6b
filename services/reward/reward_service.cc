#include "services/reward/reward_service.h"

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "libs/reward/reward_function.h"
#include "libs/rpc/status.h"

namespace hone {
namespace {

// A stream's next message is not read while it holds more items or verdicts, or more bytes of
// items, than this.
constexpr size_t kMaxHeld = 1024;
constexpr size_t kMaxHeldBytes = size_t{4} << 20;

// When the client itself gives up.
TimePoint LatestOf(const grpc::CallbackServerContext& context) {
  const auto left = context.deadline() - std::chrono::system_clock::now();
  return left > std::chrono::hours(24 * 365) ? kNoDeadline : SystemClock::Get().Now() + left;
}

absl::Status Draining() {
  return absl::UnavailableError("this reward replica is shutting down; try another one");
}

}  // namespace

// One bidirectional call. gRPC owns its life: it deletes itself in OnDone, which comes after Finish
// and after the last reaction. Finish is called once nothing of ours is under way, so that no task
// outlives it, and without the lock: OnDone may come before Finish returns.
class RewardService::Stream final
    : public grpc::ServerBidiReactor<v1::ScoreRequest, v1::ScoreResponse> {
 public:
  Stream(RewardService& service, TimePoint latest)
      : service_(service), latest_(latest), lane_(service.judge_.NewLane()) {}

  void Start() {
    const bool accepted = service_.AddStream(this);
    Change([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      if (!accepted) End(Draining());
    });
  }

  // Another thread may be in any reaction.
  void Drain() {
    Change([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { draining_ = true; });
  }

  void OnReadDone(bool ok) override {
    Change([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      reading_ = false;
      if (!ok) {
        half_closed_ = true;
      } else if (!end_.has_value()) {
        if (absl::Status status = Accept(); !status.ok()) End(status);
      }
    });
  }

  void OnWriteDone(bool ok) override {
    Change([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      writing_ = false;
      unsent_.pop_front();
      if (!ok) End(absl::CancelledError("the client is gone"));
    });
  }

  void OnCancel() override {
    Change([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      End(absl::CancelledError("the call was cancelled"));
    });
  }

  void OnDone() override {
    service_.RemoveStream(this);
    delete this;
  }

 private:
  // Takes the items of `request_`.
  absl::Status Accept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (function_ == nullptr) {
      absl::StatusOr<RewardFunction> function =
          RewardFunction::Create(request_.reward(), service_.registry_);
      if (!function.ok()) return function.status();
      function_ = std::make_shared<const RewardFunction>(*std::move(function));
    } else if (request_.has_reward()) {
      return absl::InvalidArgumentError("`reward` is set again; only the first message may set it");
    }
    for (v1::ScoreItem& item : *request_.mutable_items()) {
      const uint64_t id = item.item_id();
      const size_t bytes = item.ByteSizeLong();
      ++unjudged_;
      held_bytes_ += bytes;
      absl::Status status = service_.judge_.Submit(
          lane_, function_, std::move(item), latest_, [this, id, bytes](v1::Verdict verdict) {
            service_.counts_.Count(verdict);
            v1::ScoreResponse response;
            response.set_item_id(id);
            *response.mutable_verdict() = std::move(verdict);
            Change([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
              --unjudged_;
              held_bytes_ -= bytes;
              if (!end_.has_value()) unsent_.push_back(std::move(response));
            });
          });
      if (status.ok()) continue;
      --unjudged_;
      held_bytes_ -= bytes;
      return status;
    }
    return absl::OkStatus();
  }

  // The call will end with `status`, as soon as nothing is under way. The first one counts.
  void End(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (end_.has_value()) return;
    end_ = status;
    unjudged_ -= service_.judge_.Cancel(*lane_);
    // The one that is being written is gRPC's until OnWriteDone.
    while (unsent_.size() > size_t{writing_ ? 1u : 0u}) unsent_.pop_back();
  }

  // Every change of the members goes through here: `change` under the lock, then whatever can be
  // started now. Nothing of this object may be touched afterwards.
  template <typename F>
  void Change(F change) {
    std::optional<grpc::Status> status;
    {
      MutexLock lock(mu_);
      change();
      status = Advance();
    }
    if (status.has_value()) Finish(*status);
  }

  // Starts a write and a read where there is cause to; the final status when nothing is under way
  // or to come.
  std::optional<grpc::Status> Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (finished_) return std::nullopt;
    if (!writing_ && !unsent_.empty()) {
      writing_ = true;
      // With others behind it, it need not travel alone.
      grpc::WriteOptions options;
      if (unsent_.size() > 1) options.set_buffer_hint();
      StartWrite(&unsent_.front(), options);
    }
    if (end_.has_value() || half_closed_ || draining_) {
      if (unjudged_ > 0 || writing_) return std::nullopt;
      // A read may be under way; it fails when the call has ended.
      finished_ = true;
      return rpc::ToGrpc(end_.value_or(half_closed_ ? absl::OkStatus() : Draining()));
    }
    if (!reading_ && unjudged_ + unsent_.size() <= kMaxHeld && held_bytes_ <= kMaxHeldBytes) {
      reading_ = true;
      request_.Clear();
      StartRead(&request_);
    }
    return std::nullopt;
  }

  RewardService& service_;
  const TimePoint latest_;
  const std::shared_ptr<Judge::Lane> lane_;
  Mutex mu_;
  v1::ScoreRequest request_;  // gRPC's while reading_
  std::shared_ptr<const RewardFunction> function_ ABSL_GUARDED_BY(mu_);
  std::deque<v1::ScoreResponse> unsent_ ABSL_GUARDED_BY(mu_);
  size_t unjudged_ ABSL_GUARDED_BY(mu_) = 0;
  size_t held_bytes_ ABSL_GUARDED_BY(mu_) = 0;  // of the items that are not judged
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

// One ScoreBatch call; deletes itself in OnDone.
class RewardService::Batch final : public grpc::ServerUnaryReactor {
 public:
  Batch(RewardService& service, TimePoint latest)
      : service_(service), latest_(latest), lane_(service.judge_.NewLane()) {}

  void Start(const v1::ScoreBatchRequest& request, v1::ScoreBatchResponse& response) {
    absl::StatusOr<RewardFunction> made =
        RewardFunction::Create(request.reward(), service_.registry_);
    Change([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      status_ = made.status();
      if (!made.ok()) return;
      const auto function = std::make_shared<const RewardFunction>(*std::move(made));
      for (int i = 0; i < request.items_size(); ++i) response.add_verdicts();
      for (int i = 0; i < request.items_size() && status_.ok(); ++i) {
        ++unjudged_;
        status_ = service_.judge_.Submit(
            lane_, function, request.items(i), latest_,
            [this, verdict = response.mutable_verdicts(i)](v1::Verdict found) {
              service_.counts_.Count(found);
              *verdict = std::move(found);
              Change([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { --unjudged_; });
            });
        if (status_.ok()) continue;
        --unjudged_;
        unjudged_ -= service_.judge_.Cancel(*lane_);
      }
    });
  }

  void OnCancel() override {
    Change([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      status_ = absl::CancelledError("the call was cancelled");
      unjudged_ -= service_.judge_.Cancel(*lane_);
    });
  }

  void OnDone() override { delete this; }

 private:
  // As Stream::Change.
  template <typename F>
  void Change(F change) {
    grpc::Status status;
    {
      MutexLock lock(mu_);
      change();
      if (unjudged_ > 0 || finished_) return;
      finished_ = true;
      status = rpc::ToGrpc(status_);
    }
    Finish(status);
  }

  RewardService& service_;
  const TimePoint latest_;
  const std::shared_ptr<Judge::Lane> lane_;
  Mutex mu_;
  size_t unjudged_ ABSL_GUARDED_BY(mu_) = 0;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

RewardService::RewardService(const Registry& registry, const Judge::Options& options,
                             Metrics* metrics)
    : registry_(registry), counts_(metrics, registry.List()), judge_(options) {
  if (metrics == nullptr) return;
  const auto add = [&](MetricKind kind, absl::string_view name, absl::string_view help,
                       double (*value)(const Judge::Stats&)) {
    callbacks_.push_back(
        metrics->AddCallback(kind, name, help, [this, value] { return value(judge_.stats()); }));
  };
  using Stats = Judge::Stats;
  add(MetricKind::kGauge, "hone_reward_waiting_items", "Completions that wait for a thread.",
      [](const Stats& s) { return static_cast<double>(s.waiting); });
  add(MetricKind::kGauge, "hone_reward_running_items", "Completions that a scorer has.",
      [](const Stats& s) { return static_cast<double>(s.running); });
  add(MetricKind::kGauge, "hone_reward_slow_items",
      "Completions that a scorer has had for longer than 0.25 s.",
      [](const Stats& s) { return static_cast<double>(s.slow); });
  add(MetricKind::kCounter, "hone_reward_cache_hits_total", "Verdicts that were remembered.",
      [](const Stats& s) { return static_cast<double>(s.cache.hits); });
  add(MetricKind::kCounter, "hone_reward_cache_misses_total",
      "Verdicts that were looked for and not remembered.",
      [](const Stats& s) { return static_cast<double>(s.cache.misses); });
  add(MetricKind::kGauge, "hone_reward_cache_bytes", "Memory of the remembered verdicts.",
      [](const Stats& s) { return static_cast<double>(s.cache.bytes); });
}

RewardService::~RewardService() = default;

bool RewardService::AddStream(Stream* stream) {
  MutexLock lock(mu_);
  if (draining_) return false;
  streams_.insert(stream);
  return true;
}

void RewardService::RemoveStream(Stream* stream) {
  MutexLock lock(mu_);
  streams_.erase(stream);
}

void RewardService::Drain() {
  MutexLock lock(mu_);
  draining_ = true;
  // A stream takes its own lock inside ours; none takes ours inside its own.
  for (Stream* stream : streams_) stream->Drain();
}

grpc::ServerBidiReactor<v1::ScoreRequest, v1::ScoreResponse>* RewardService::Score(
    grpc::CallbackServerContext* context) {
  auto* stream = new Stream(*this, LatestOf(*context));
  stream->Start();
  return stream;
}

grpc::ServerUnaryReactor* RewardService::ScoreBatch(grpc::CallbackServerContext* context,
                                                    const v1::ScoreBatchRequest* request,
                                                    v1::ScoreBatchResponse* response) {
  auto* batch = new Batch(*this, LatestOf(*context));
  batch->Start(*request, *response);
  return batch;
}

grpc::ServerUnaryReactor* RewardService::ListScorers(grpc::CallbackServerContext* context,
                                                     const v1::ListScorersRequest* request,
                                                     v1::ListScorersResponse* response) {
  *response = registry_.Describe();
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace hone
