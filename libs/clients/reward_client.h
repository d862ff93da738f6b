#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/loop/interfaces.h"
#include "libs/rpc/channel.h"
#include "proto/hone/v1/reward.grpc.pb.h"

namespace hone {

// The reward service over one bidirectional stream per reward specification. A stream that breaks
// is opened again and its open items are sent again: scoring is stateless. An item that nobody
// scored for `patience` ends as OUTCOME_VERIFIER_UNAVAILABLE, as do all that are open or come later
// when the client is closed, and when the service says that the specification is wrong or that it
// has not got a scorer (INVALID_ARGUMENT, FAILED_PRECONDITION): the verdict's reason is what it
// said. Thread-safe.
class RewardClient final : public VerdictSource {
 public:
  static absl::StatusOr<std::unique_ptr<RewardClient>> Create(
      const std::string& address, const rpc::ClientTls& tls,
      Duration patience = std::chrono::minutes(10));
  ~RewardClient() override;  // closes

  void Score(const v1::RewardSpec& reward, v1::ScoreItem item,
             std::function<void(v1::Verdict)> done) override;
  // From one thread.
  void Close();

 private:
  struct Stream;

  RewardClient(std::shared_ptr<grpc::Channel> channel, std::string address, Duration patience);
  void Serve(Stream& stream);
  // One connection: until it breaks or the client stops.
  absl::Status Connect(Stream& stream);
  // Gives up the items that have waited too long, or all of them, because of `why`.
  void Expire(Stream& stream, const absl::Status& why, bool all);

  const std::unique_ptr<v1::RewardService::Stub> stub_;
  const std::string peer_;
  const Duration patience_;
  Mutex mu_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, std::unique_ptr<Stream>> streams_
      ABSL_GUARDED_BY(mu_);  // by serialized spec
};

}  // namespace hone
