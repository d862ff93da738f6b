#include "services/learner/weights_service.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/rpc/status.h"

namespace hone {

WeightsService::WeightsService(Publisher& publisher, Metrics* metrics) : publisher_(publisher) {
  if (metrics == nullptr) return;
  bytes_ = metrics->AddCounter("hone_learner_weights_bytes_total", "Bytes of weights sent.");
  const char* const help = "Transfers of weights sent, whole ones and those of changes.";
  whole_ = metrics->AddCounter("hone_learner_weights_transfers_total", help, {{"encoding", "full"}});
  changes_ = metrics->AddCounter("hone_learner_weights_transfers_total", help,
                                 {{"encoding", "sparse_delta"}});
  subscribers_ = metrics->AddGauge("hone_learner_weights_subscribers", "Open subscriptions.");
  send_seconds_ =
      metrics->AddHistogram("hone_learner_weights_send_seconds",
                            "Sending one version to one worker.", ExponentialBuckets(0.001, 4, 9));
}

grpc::Status WeightsService::Subscribe(grpc::ServerContext* context,
                                       const v1::SubscribeRequest* request,
                                       grpc::ServerWriter<v1::SubscribeResponse>* writer) {
  Log(LogLevel::kInfo, "worker subscribed to weights",
      {{"worker", request->worker_id()},
       {"run", request->run_id()},
       {"have", request->have_version()}});
  subscribers_.Increment();
  // Apart: a first message that is held back would hold them back, too, and wait for them.
  writer->SendInitialMetadata();
  int64_t have = request->have_version();
  bool open = true;
  while (open && !context->IsCancelled() && !publisher_.closed()) {
    // Looks up from time to time whether the worker is still there.
    const auto transfers = publisher_.WaitFor(
        request->run_id(), have, std::chrono::steady_clock::now() + std::chrono::milliseconds(500));
    if (transfers.empty()) continue;
    const TimePoint start = std::chrono::steady_clock::now();
    for (const auto& transfer : transfers) {
      v1::SubscribeResponse response;
      *response.mutable_manifest() = transfer->manifest();
      // Held back to travel with the first chunk.
      open = open && writer->Write(response, grpc::WriteOptions().set_buffer_hint());
      (transfer->whole() ? whole_ : changes_).Increment();
      for (const v1::SubscribeResponse& message : transfer->chunks()) {
        if (!open) break;
        bytes_.Increment(static_cast<double>(message.chunk().data().size()));
        open = writer->Write(message);
      }
    }
    have = transfers.back()->version();
    send_seconds_.Observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  subscribers_.Decrement();
  return {grpc::StatusCode::UNAVAILABLE, "the learner is stopping"};
}

grpc::Status WeightsService::GetManifest(grpc::ServerContext* context,
                                         const v1::GetManifestRequest* request,
                                         v1::GetManifestResponse* response) {
  const auto snapshot = publisher_.newest();
  if (snapshot == nullptr || snapshot->manifest().run_id() != request->run_id())
    return rpc::ToGrpc(absl::NotFoundError(
        absl::StrCat("no weights of run \"", request->run_id(), "\" have been published")));
  *response->mutable_manifest() = snapshot->manifest();
  return grpc::Status::OK;
}

}  // namespace hone
