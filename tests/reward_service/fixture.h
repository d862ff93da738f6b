#pragma once

// A reward service on a port of its own, with a scorer that tests can hold up.

#include <chrono>
#include <condition_variable>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "libs/base/mutex.h"
#include "libs/rpc/server.h"
#include "services/reward/reward_service.h"
#include "tests/testing/test.h"

namespace hone::testing {

// Scorers with "slow" in the completion wait for this to open.
class Gate {
 public:
  void Open() {
    MutexLock lock(mu_);
    open_ = true;
    changed_.notify_all();
  }
  void Wait() {
    MutexLock lock(mu_);
    ++waiting_;
    changed_.notify_all();
    lock.Wait(changed_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return open_; });
  }
  void WaitForWaiting(int count) {
    MutexLock lock(mu_);
    lock.Wait(changed_,
              [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return waiting_ >= count; });
  }

 private:
  Mutex mu_;
  std::condition_variable changed_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0;
};

class GatedScorer : public Scorer {
 public:
  explicit GatedScorer(Gate& gate) : gate_(gate) {}
  v1::ScorePart Score(const v1::ScoreItem& item, TimePoint) const override {
    if (item.completion() == "slow") gate_.Wait();
    if (item.completion() == "broken") return Unscored(v1::OUTCOME_CRASHED, "broken");
    return Scored(item.completion() == "right" ? 1 : 0, "");
  }

 private:
  Gate& gate_;
};

using Channel = std::unique_ptr<v1::RewardService::Stub>;
using ClientStream = grpc::ClientReaderWriter<v1::ScoreRequest, v1::ScoreResponse>;

inline Judge::Options Threads(int threads) {
  Judge::Options options;
  options.threads = threads;
  options.blocking_threads = threads;
  options.spare_threads = 0;
  return options;
}

struct Fixture {
  explicit Fixture(int threads) {
    CHECK_OK(registry.Register({"gated", "for tests", "1"},
                               [this](Options&) { return std::make_unique<GatedScorer>(gate); }));
    service = std::make_unique<RewardService>(registry, Threads(threads), &metrics);
    auto started = rpc::Server::Start({.listen = "127.0.0.1:0"}, {service.get()});
    REQUIRE_OK(started);
    server = *std::move(started);
    stub = v1::RewardService::NewStub(grpc::CreateChannel(
        "127.0.0.1:" + std::to_string(server->port()), grpc::InsecureChannelCredentials()));
  }
  ~Fixture() {
    gate.Open();
    server->Shutdown(std::chrono::seconds(5));
    server.reset();
    service.reset();
  }

  Gate gate;
  Registry registry;
  Metrics metrics;
  std::unique_ptr<RewardService> service;
  std::unique_ptr<rpc::Server> server;
  Channel stub;
};

// A call that cannot hang a test.
inline std::unique_ptr<grpc::ClientContext> Context() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  return context;
}

inline v1::ScoreRequest Request(const std::vector<std::string>& completions, uint64_t first_id,
                                const char* scorer = nullptr) {
  v1::ScoreRequest request;
  if (scorer != nullptr) request.mutable_reward()->add_scorers()->set_name(scorer);
  for (const std::string& completion : completions) {
    v1::ScoreItem* item = request.add_items();
    item->set_item_id(first_id++);
    item->set_completion(completion);
  }
  return request;
}

}  // namespace hone::testing
