#pragma once

#include <set>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/reward/judge.h"
#include "libs/reward/registry.h"
#include "libs/telemetry/metrics.h"
#include "proto/hone/v1/reward.grpc.pb.h"
#include "services/reward/reward_metrics.h"

namespace hone {

// proto/hone/v1/reward.proto over a Registry. Calls share the threads of one Judge, turn by turn;
// each verdict is sent as it is ready. A stream that holds 4 MiB of items, or 1024 items and
// verdicts, is not read further, so that a call needs little memory however fast its client sends
// or slowly it reads.
class RewardService final : public v1::RewardService::CallbackService {
 public:
  // `registry` outlives the service; so does `metrics`, which may be null.
  RewardService(const Registry& registry, const Judge::Options& options, Metrics* metrics);
  // All calls have ended: destroy the server first.
  ~RewardService() override;

  // Ends every stream with UNAVAILABLE as soon as what it has sent is answered, and refuses new
  // calls likewise; clients turn to another replica and send again what was not answered. Does not
  // wait. Idempotent.
  void Drain();

  // Whether no scorer is at work any more, also for calls that have ended. One that does not end
  // would keep the destructor waiting.
  bool idle() const { return judge_.stats().running == 0; }

  grpc::ServerBidiReactor<v1::ScoreRequest, v1::ScoreResponse>* Score(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ScoreBatch(grpc::CallbackServerContext* context,
                                       const v1::ScoreBatchRequest* request,
                                       v1::ScoreBatchResponse* response) override;
  grpc::ServerUnaryReactor* ListScorers(grpc::CallbackServerContext* context,
                                        const v1::ListScorersRequest* request,
                                        v1::ListScorersResponse* response) override;

 private:
  class Stream;
  class Batch;

  // False when the service drains.
  bool AddStream(Stream* stream);
  void RemoveStream(Stream* stream);

  const Registry& registry_;
  RewardMetrics counts_;
  Mutex mu_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  std::set<Stream*> streams_ ABSL_GUARDED_BY(mu_);
  Judge judge_;
  std::vector<Metrics::Callback> callbacks_;
};

}  // namespace hone
