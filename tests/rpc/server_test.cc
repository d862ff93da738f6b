#include "libs/rpc/server.h"

#include <future>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/rpc/channel.h"
#include "proto/grpc/health/v1/health.grpc.pb.h"
#include "tests/rpc/reward_fake.h"
#include "tests/testing/test.h"

namespace hone::rpc {
namespace {

using grpc::health::v1::HealthCheckResponse;

std::unique_ptr<Server> StartServer(std::vector<grpc::Service*> services,
                                    ServerOptions options = {}) {
  if (options.listen.empty()) options.listen = "127.0.0.1:0";
  auto server = Server::Start(options, services);
  REQUIRE_OK(server);
  return *std::move(server);
}

std::shared_ptr<grpc::Channel> Connect(const Server& server, ChannelOptions options = {}) {
  options.max_attempts = 1;
  auto channel = MakeChannel(absl::StrCat("127.0.0.1:", server.port()), options);
  REQUIRE_OK(channel);
  return *channel;
}

absl::Status CallList(v1::RewardService::Stub& stub, Duration timeout = kDefaultTimeout) {
  grpc::ClientContext context;
  PrepareCall(context, timeout);
  v1::ListScorersResponse response;
  return FromGrpc(stub.ListScorers(&context, {}, &response));
}

absl::StatusOr<int> Health(const std::shared_ptr<grpc::Channel>& channel,
                           const std::string& service) {
  auto stub = grpc::health::v1::Health::NewStub(channel);
  grpc::ClientContext context;
  PrepareCall(context);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  HealthCheckResponse response;
  const grpc::Status status = stub->Check(&context, request, &response);
  if (!status.ok()) return FromGrpc(status);
  return response.status();
}

TEST_CASE("health is NOT_SERVING until somebody says otherwise", "[rpc]") {
  FakeReward reward;
  auto server = StartServer({&reward});
  auto channel = Connect(*server);
  CHECK(*Health(channel, "") == HealthCheckResponse::NOT_SERVING);
  CHECK(*Health(channel, "hone.v1.RewardService") == HealthCheckResponse::NOT_SERVING);
  server->SetServing(true);
  CHECK(*Health(channel, "") == HealthCheckResponse::SERVING);
  CHECK(*Health(channel, "hone.v1.RewardService") == HealthCheckResponse::SERVING);
  CHECK_CODE(Health(channel, "hone.v1.NoSuchService"), absl::StatusCode::kNotFound);
  server->SetServing(false);
  CHECK(*Health(channel, "") == HealthCheckResponse::NOT_SERVING);
}

TEST_CASE("a watcher is told every change and let go at shutdown", "[rpc]") {
  FakeReward reward;
  auto server = StartServer({&reward});
  auto stub = grpc::health::v1::Health::NewStub(Connect(*server));
  grpc::ClientContext context;
  PrepareCall(context);
  auto watch = stub->Watch(&context, {});
  HealthCheckResponse response;
  REQUIRE(watch->Read(&response));
  CHECK(response.status() == HealthCheckResponse::NOT_SERVING);
  server->SetServing(true);
  REQUIRE(watch->Read(&response));
  CHECK(response.status() == HealthCheckResponse::SERVING);
  const auto start = std::chrono::steady_clock::now();
  server->Shutdown(std::chrono::seconds(20));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  REQUIRE(watch->Read(&response));
  CHECK(response.status() == HealthCheckResponse::NOT_SERVING);
  CHECK(!watch->Read(&response));
  CHECK(watch->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("a watcher that goes away is forgotten, one of an unknown service is told", "[rpc]") {
  FakeReward reward;
  auto server = StartServer({&reward});
  auto stub = grpc::health::v1::Health::NewStub(Connect(*server));
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    PrepareCall(context);
    grpc::health::v1::HealthCheckRequest request;
    request.set_service("nobody");
    auto watch = stub->Watch(&context, request);
    HealthCheckResponse response;
    REQUIRE(watch->Read(&response));
    CHECK(response.status() == HealthCheckResponse::SERVICE_UNKNOWN);
    server->SetServing(i % 2 == 0);
    context.TryCancel();
    CHECK(watch->Finish().error_code() == grpc::StatusCode::CANCELLED);
  }
  server->SetServing(true);
}

TEST_CASE("a port that is taken or an address that is none is told", "[rpc]") {
  FakeReward reward;
  auto server = StartServer({&reward});
  FakeReward second;
  const std::string taken = absl::StrCat("127.0.0.1:", server->port());
  CHECK(Server::Start({.listen = taken}, {&second}).status() ==
        absl::UnavailableError(absl::StrCat("listen on ", taken, ": address already in use")));
  CHECK(Server::Start({.listen = "203.0.113.1:0"}, {&second}).status() ==
        absl::UnavailableError("listen on 203.0.113.1:0: cannot assign requested address"));
  for (const char* bad : {"", "localhost", "localhost:", "localhost:http", "localhost:65536", ":1",
                          "::1:5", "[::1:5"}) {
    INFO(bad);
    CHECK_CODE(Server::Start({.listen = bad}, {&second}), absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("errors arrive with their details", "[rpc]") {
  FakeReward reward;
  reward.answer = [](grpc::ServerContext&) {
    return WithFieldViolations(WithReason(absl::InvalidArgumentError("bad"), "BAD_SPEC"),
                               {{"a", "b"}});
  };
  auto server = StartServer({&reward});
  auto channel = Connect(*server);
  auto stub = v1::RewardService::NewStub(channel);
  const absl::Status status = CallList(*stub);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(ReasonOf(status) == "BAD_SPEC");
  CHECK(FieldViolationsOf(status).size() == 1);
}

TEST_CASE("calls are counted and timed by method and code", "[rpc]") {
  Metrics metrics;
  FakeReward reward;
  int n = 0;
  reward.answer = [&](grpc::ServerContext&) {
    return ++n == 1 ? absl::OkStatus() : absl::NotFoundError("none");
  };
  auto server = StartServer({&reward}, {.metrics = &metrics});
  auto channel = Connect(*server);
  auto stub = v1::RewardService::NewStub(channel);
  for (int i = 0; i < 3; ++i) (void)CallList(*stub);
  {
    grpc::ClientContext context;
    PrepareStream(context);
    auto stream = stub->Score(&context);
    v1::ScoreResponse response;
    CHECK(stream->Write({}));
    CHECK(stream->Read(&response));
    stream->WritesDone();
    CHECK(stream->Finish().ok());
  }
  server->Shutdown(std::chrono::seconds(5));
  const std::string text = metrics.Render();
  INFO(text);
  const std::string list =
      "grpc_method=\"ListScorers\",grpc_service=\"hone.v1.RewardService\",grpc_type=\"unary\"} ";
  CHECK(absl::StrContains(text, absl::StrCat("grpc_server_started_total{", list, "3")));
  CHECK(absl::StrContains(text,
                          absl::StrCat("grpc_server_handled_total{grpc_code=\"OK\",", list, "1")));
  CHECK(absl::StrContains(
      text, absl::StrCat("grpc_server_handled_total{grpc_code=\"NOT_FOUND\",", list, "2")));
  CHECK(absl::StrContains(text, absl::StrCat("grpc_server_handling_seconds_count{", list, "3")));
  CHECK(absl::StrContains(
      text,
      "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Score\",grpc_service=\"hone.v1."
      "RewardService\",grpc_type=\"bidi_stream\"} 1"));
}

TEST_CASE("a shutdown lets calls in progress end and takes no new ones", "[rpc]") {
  FakeReward reward;
  std::promise<void> entered;
  std::promise<void> release;
  reward.answer = [&](grpc::ServerContext&) {
    entered.set_value();
    release.get_future().wait();
    return absl::OkStatus();
  };
  auto server = StartServer({&reward});
  auto channel = Connect(*server);
  auto stub = v1::RewardService::NewStub(channel);
  auto call = std::async(std::launch::async, [&] { return CallList(*stub); });
  entered.get_future().wait();
  auto waiting = std::async(std::launch::async, [&] { server->Wait(); });
  auto shutdown =
      std::async(std::launch::async, [&] { server->Shutdown(std::chrono::seconds(20)); });
  // The port closes although the call is still there.
  FakeReward other;
  const std::string address = absl::StrCat("127.0.0.1:", server->port());
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  bool closed = false;
  while (!closed && std::chrono::steady_clock::now() < until)
    closed = Server::Start({.listen = address}, {&other}).ok();
  CHECK(closed);
  CHECK(call.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  release.set_value();
  CHECK_OK(call.get());
  shutdown.wait();
  waiting.wait();
}

TEST_CASE("a shutdown cancels what outlives the grace", "[rpc]") {
  FakeReward reward;
  std::promise<void> entered;
  reward.answer = [&](grpc::ServerContext& context) {
    entered.set_value();
    while (!context.IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return absl::CancelledError("stopped");
  };
  auto server = StartServer({&reward});
  auto channel = Connect(*server);
  auto stub = v1::RewardService::NewStub(channel);
  auto call = std::async(std::launch::async, [&] { return CallList(*stub); });
  entered.get_future().wait();
  server->Shutdown(std::chrono::milliseconds(50));
  CHECK(!call.get().ok());
}

TEST_CASE("a message beyond the limit is refused with RESOURCE_EXHAUSTED", "[rpc]") {
  FakeReward reward;
  auto server = StartServer({&reward});
  auto channel = Connect(*server);
  auto stub = v1::RewardService::NewStub(channel);
  v1::ScoreBatchRequest request;
  request.add_items()->set_completion(std::string(kMaxMessageBytes + 1, 'x'));
  v1::ScoreBatchResponse response;
  grpc::ClientContext context;
  PrepareCall(context);
  CHECK(stub->ScoreBatch(&context, request, &response).error_code() ==
        grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_CASE("the request id of a call reaches the server", "[rpc]") {
  FakeReward reward;
  std::string seen;
  reward.answer = [&](grpc::ServerContext& context) {
    const auto& metadata = context.client_metadata();
    if (auto it = metadata.find("x-request-id"); it != metadata.end())
      seen.assign(it->second.data(), it->second.size());
    return absl::OkStatus();
  };
  auto server = StartServer({&reward});
  auto channel = Connect(*server);
  auto stub = v1::RewardService::NewStub(channel);
  grpc::ClientContext context;
  const std::string id = PrepareCall(context);
  v1::ListScorersResponse response;
  REQUIRE(stub->ListScorers(&context, {}, &response).ok());
  CHECK(id.size() == 16);
  CHECK(seen == id);
}

}  // namespace
}  // namespace hone::rpc
