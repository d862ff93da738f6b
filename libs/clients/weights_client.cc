#include "libs/clients/weights_client.h"

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/periodic.h"
#include "libs/base/status.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/retry.h"
#include "libs/weights/stager.h"
#include "proto/hone/v1/weights.grpc.pb.h"

namespace hone {

struct WeightsClient::Subscription {
  std::string run_id;
  std::string address;
  std::unique_ptr<Stager> stager;
  std::function<void()> arrived;
  std::thread thread;
};

WeightsClient::WeightsClient(std::string worker_id, const rpc::ClientTls& tls, Metrics* metrics)
    : worker_id_(std::move(worker_id)), tls_(tls) {
  if (metrics == nullptr) return;
  bytes_ = metrics->AddCounter("hone_rollout_weights_bytes_total", "Bytes of weights received.");
  versions_ = metrics->AddCounter("hone_rollout_weights_versions_total",
                                  "Complete weights versions received.");
  checksum_failures_ = metrics->AddCounter("hone_rollout_weights_checksum_failures_total",
                                           "Transfers refused for a wrong checksum.");
  receive_seconds_ = metrics->AddHistogram("hone_rollout_weights_receive_seconds",
                                           "From a version's manifest to its last verified byte.",
                                           ExponentialBuckets(0.001, 4, 9));
}

WeightsClient::~WeightsClient() {
  End();
}

void WeightsClient::End() {
  if (subscription_ == nullptr) return;
  {
    MutexLock lock(mu_);
    stop_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }
  subscription_->stager->Close();
  subscription_->thread.join();
  subscription_.reset();
  MutexLock lock(mu_);
  arrival_ = {};
}

void WeightsClient::Follow(const std::string& run_id, const std::string& address,
                           const Transformer& transformer, DType dtype,
                           std::shared_ptr<const Weights> base, std::function<void()> arrived) {
  End();
  {
    MutexLock lock(mu_);
    stop_ = false;
  }
  subscription_ = std::make_unique<Subscription>();
  Subscription& s = *subscription_;
  s.run_id = run_id;
  s.address = address;
  s.stager = std::make_unique<Stager>(run_id, transformer.layout(), dtype, std::move(base),
                                      transformer.table());
  s.arrived = std::move(arrived);
  s.thread = std::thread([this, &s] { Serve(s); });
}

WeightsSource::Arrival WeightsClient::Take() {
  MutexLock lock(mu_);
  return std::exchange(arrival_, {});
}

void WeightsClient::Serve(Subscription& s) {
  NameThisThread("weights");
  const auto stopped = [this] {
    MutexLock lock(mu_);
    return stop_;
  };
  rpc::Retrier retrier(absl::StrCat("learner at ", s.address),
                       {.initial = std::chrono::milliseconds(50), .max = std::chrono::seconds(1)},
                       stopped);
  while (!stopped()) {
    const absl::Status status = retrier.Run(kNoDeadline, [&] { return Receive(s); });
    if (stopped()) return;
    if (absl::IsDataLoss(status)) checksum_failures_.Increment();
    Log(LogLevel::kWarning, absl::StrCat("weights: ", status.ToString(), "; subscribing again"));
    SystemClock::Get().SleepFor(std::chrono::milliseconds(500));
  }
}

// One stream. UNAVAILABLE when it ended in a way that calls for another one.
absl::Status WeightsClient::Receive(Subscription& s) {
  rpc::ChannelOptions options;
  options.tls = tls_;
  options.max_attempts = 1;
  HONE_ASSIGN_OR_RETURN(const auto channel, rpc::MakeChannel(s.address, options));
  const auto stub = v1::WeightsService::NewStub(channel);
  grpc::ClientContext context;
  rpc::PrepareStream(context);
  {
    MutexLock lock(mu_);
    if (stop_) return absl::CancelledError("stopping");
    context_ = &context;
  }
  v1::SubscribeRequest request;
  request.set_run_id(s.run_id);
  request.set_worker_id(worker_id_);
  request.set_have_version(s.stager->have_version());
  const auto reader = stub->Subscribe(&context, request);
  v1::SubscribeResponse response;
  absl::Status status;
  TimePoint begun{};
  while (status.ok() && reader->Read(&response)) {
    if (response.has_manifest()) {
      // As long as an evaluation keeps the worker from taking the version before, say.
      if (!s.stager->WaitForRoom()) status = absl::CancelledError("stopping");
      begun = std::chrono::steady_clock::now();
      if (status.ok()) status = s.stager->Begin(response.manifest());
      continue;
    }
    status = s.stager->Add(response.chunk());
    bytes_.Increment(static_cast<double>(response.chunk().data().size()));
    if (!status.ok()) break;
    const int64_t version = s.stager->staged_version();
    std::shared_ptr<const Weights> weights = s.stager->Take();
    if (weights == nullptr) continue;
    versions_.Increment();
    receive_seconds_.Observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    {
      MutexLock lock(mu_);
      arrival_ = {std::move(weights), version};
    }
    s.arrived();
  }
  context.TryCancel();
  const grpc::Status finished = reader->Finish();
  {
    MutexLock lock(mu_);
    context_ = nullptr;
  }
  HONE_RETURN_IF_ERROR(status);
  if (finished.ok()) return absl::UnavailableError("the learner ended the subscription");
  const absl::Status end = rpc::FromCall(finished, absl::StrCat("learner at ", s.address));
  return absl::IsCancelled(end) ? absl::UnavailableError("the learner cancelled the subscription")
                                : end;
}

}  // namespace hone
