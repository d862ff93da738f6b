#include "libs/rpc/channel.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/support/validate_service_config.h"
#include "libs/rpc/server.h"
#include "tests/rpc/reward_fake.h"
#include "tests/testing/test.h"

namespace hone::rpc {
namespace {

TEST_CASE("the service config is one that gRPC accepts", "[rpc]") {
  for (int attempts : {1, 3, 9}) {
    for (const std::vector<std::string>& services :
         {std::vector<std::string>{}, std::vector<std::string>{"hone.v1.RewardService"}}) {
      auto config = ServiceConfig({.services = services, .max_attempts = attempts});
      REQUIRE_OK(config);
      INFO(*config);
      CHECK(grpc::experimental::ValidateServiceConfigJSON(*config) == "");
      CHECK(absl::StrContains(*config, "UNAVAILABLE") == (attempts > 1));
    }
  }
  auto config = ServiceConfig({.services = {"hone.v1.RewardService"}});
  CHECK(absl::StrContains(*config,
                          "{\"service\":\"hone.v1.RewardService\",\"method\":\"ScoreBatch\"}"));
  CHECK(!absl::StrContains(*config, "\"method\":\"Score\""));  // a stream
  CHECK_CODE(ServiceConfig({.services = {"hone.v1.Nobody"}}), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(MakeChannel(""), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a call that finds nobody fails by its deadline and names the peer", "[rpc]") {
  auto channel = MakeChannel("127.0.0.1:1", {.max_attempts = 1});
  REQUIRE_OK(channel);
  auto stub = v1::RewardService::NewStub(*channel);
  grpc::ClientContext context;
  PrepareCall(context, std::chrono::seconds(5));
  v1::ListScorersResponse response;
  const absl::Status status =
      FromCall(stub->ListScorers(&context, {}, &response), "reward at 127.0.0.1:1");
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK(absl::StartsWith(status.message(), "reward at 127.0.0.1:1: "));
  CHECK(FromCall({grpc::StatusCode::NOT_FOUND, "x"}, "peer").message() == "x");
}

TEST_CASE("gRPC repeats a call that failed with UNAVAILABLE, and no other", "[rpc]") {
  FakeReward reward;
  auto server = Server::Start({.listen = "127.0.0.1:0"}, {&reward});
  REQUIRE_OK(server);
  const std::string target = absl::StrCat("127.0.0.1:", (*server)->port());
  const auto call = [&](int attempts) {
    auto channel =
        MakeChannel(target, {.services = {"hone.v1.RewardService"}, .max_attempts = attempts});
    REQUIRE_OK(channel);
    auto stub = v1::RewardService::NewStub(*channel);
    grpc::ClientContext context;
    PrepareCall(context);
    v1::ListScorersResponse response;
    return FromGrpc(stub->ListScorers(&context, {}, &response));
  };
  reward.answer = [&](grpc::ServerContext&) {
    return reward.calls < 3 ? absl::UnavailableError("not yet") : absl::OkStatus();
  };
  CHECK_OK(call(4));
  CHECK(reward.calls == 3);

  reward.calls = 0;
  CHECK_CODE(call(1), absl::StatusCode::kUnavailable);
  CHECK(reward.calls == 1);

  reward.calls = 0;
  reward.answer = [](grpc::ServerContext&) { return absl::AbortedError("no"); };
  CHECK_CODE(call(4), absl::StatusCode::kAborted);
  CHECK(reward.calls == 1);
}

TEST_CASE("a deadline ends a call that the server does not answer", "[rpc]") {
  FakeReward reward;
  reward.answer = [](grpc::ServerContext& context) {
    while (!context.IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return absl::OkStatus();
  };
  auto server = Server::Start({.listen = "127.0.0.1:0"}, {&reward});
  REQUIRE_OK(server);
  auto channel = MakeChannel(absl::StrCat("127.0.0.1:", (*server)->port()));
  REQUIRE_OK(channel);
  auto stub = v1::RewardService::NewStub(*channel);
  grpc::ClientContext context;
  PrepareCall(context, std::chrono::milliseconds(100));
  v1::ListScorersResponse response;
  const absl::Status status = FromCall(stub->ListScorers(&context, {}, &response), "reward");
  CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(absl::StartsWith(status.message(), "reward: "));
}

}  // namespace
}  // namespace hone::rpc
