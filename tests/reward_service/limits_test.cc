// What an item, or a scorer, may not do: take for ever, be absent.

#include <future>

#include "libs/clients/reward_client.h"
#include "tests/reward_service/fixture.h"

namespace hone::testing {
namespace {

TEST_CASE("a scorer that is not here is FAILED_PRECONDITION with the reason", "[reward_service]") {
  Fixture f(1);
  CHECK_OK(f.registry.RegisterUnavailable({"python", "unit tests", "1"}, "no sandbox"));
  v1::ScoreBatchRequest request;
  request.mutable_reward()->add_scorers()->set_name("python");
  v1::ScoreBatchResponse response;
  auto context = Context();
  const grpc::Status status = f.stub->ScoreBatch(context.get(), request, &response);
  CHECK(status.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  CHECK(status.error_message().find("no sandbox") != std::string::npos);

  // What a rollout worker makes of it: an outcome with that reason, at once.
  const auto client =
      RewardClient::Create("127.0.0.1:" + std::to_string(f.server->port()), rpc::ClientTls());
  REQUIRE_OK(client);
  for (const char* scorer : {"python", "nonsense"}) {
    v1::RewardSpec spec;
    spec.add_scorers()->set_name(scorer);
    std::promise<v1::Verdict> promise;
    (*client)->Score(spec, v1::ScoreItem(),
                     [&](v1::Verdict v) { promise.set_value(std::move(v)); });
    auto future = promise.get_future();
    REQUIRE(future.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
    const v1::Verdict verdict = future.get();
    CHECK(verdict.outcome() == v1::OUTCOME_VERIFIER_UNAVAILABLE);
    CHECK(verdict.parts(0).reason().find(scorer) != std::string::npos);
  }
}

TEST_CASE("the call's deadline is the items' too", "[reward_service]") {
  Fixture f(1);
  v1::ScoreBatchRequest request;
  request.mutable_reward()->add_scorers()->set_name("gated");
  request.add_items()->set_completion("slow");
  v1::ScoreBatchResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  CHECK(f.stub->ScoreBatch(&context, request, &response).error_code() ==
        grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_CASE("a hung item of a batch is answered in its time, the others before", "[reward_service]") {
  Fixture f(2);
  v1::ScoreBatchRequest request;
  v1::RewardSpec& reward = *request.mutable_reward();
  reward.add_scorers()->set_name("gated");
  reward.set_timeout_seconds(0.2);
  for (int i = 0; i < 100; ++i) request.add_items()->set_completion(i == 50 ? "slow" : "right");
  v1::ScoreBatchResponse response;
  auto context = Context();
  REQUIRE(f.stub->ScoreBatch(context.get(), request, &response).ok());
  REQUIRE(response.verdicts_size() == 100);
  for (int i = 0; i < 100; ++i) {
    const v1::Verdict& v = response.verdicts(i);
    CHECK(v.outcome() == (i == 50 ? v1::OUTCOME_TIMEOUT : v1::OUTCOME_SCORED));
    CHECK(v.parts(0).scorer() == "gated");
  }
  const std::string metrics = f.metrics.Render();
  CHECK(metrics.find("hone_reward_requests_total{outcome=\"timeout\",scorer=\"gated\"} 1") !=
        std::string::npos);
  CHECK(metrics.find("hone_reward_queue_seconds_count 100") != std::string::npos);
  CHECK(metrics.find("hone_reward_running_items 1") != std::string::npos);
  CHECK_FALSE(f.service->idle());
  request.mutable_items(0)->set_timeout_seconds(-1);
  context = Context();
  CHECK(f.stub->ScoreBatch(context.get(), request, &response).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace hone::testing
