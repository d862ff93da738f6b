#include "libs/rpc/tls.h"

#include <cstdlib>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/server.h"
#include "tests/rpc/reward_fake.h"
#include "tests/testing/test.h"

namespace hone::rpc {
namespace {

// A fresh authority and certificates signed by it, made with the openssl command; false when it is
// missing.
bool MakeCertificates(const std::string& dir) {
  std::ofstream(dir + "/ext") << "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
  std::string script =
      absl::StrCat("cd ", dir,
                   " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                   "-keyout ca.key -out ca.crt -days 2 "
                   "-subj /CN=ca");
  for (const char* name : {"server", "client", "other"}) {
    absl::StrAppend(
        &script, " && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ",
        name, ".key -out ", name, ".csr -subj /CN=", name, " && openssl x509 -req -in ", name,
        ".csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out ", name, ".crt");
  }
  return std::system(absl::StrCat("(", script, ") >/dev/null 2>&1").c_str()) == 0;
}

absl::Status Call(int port, const ClientTls& tls) {
  auto channel = MakeChannel(absl::StrCat("127.0.0.1:", port), {.tls = tls, .max_attempts = 1});
  if (!channel.ok()) return channel.status();
  auto stub = v1::RewardService::NewStub(*channel);
  grpc::ClientContext context;
  PrepareCall(context, std::chrono::seconds(10));
  v1::ListScorersResponse response;
  return FromGrpc(stub->ListScorers(&context, {}, &response));
}

TEST_CASE(
    "TLS lets in those that trust the server and, with an authority for clients, show a "
    "certificate",
    "[rpc]") {
  testing::TempDir dir;
  if (!MakeCertificates(dir.path())) {
    WARN("SKIPPED: the openssl command is missing");
    return;
  }
  const auto file = [&](const char* name) { return absl::StrCat(dir.path(), "/", name); };
  FakeReward reward;
  auto server = Server::Start(
      {.listen = "127.0.0.1:0", .tls = {.cert = file("server.crt"), .key = file("server.key")}},
      {&reward});
  REQUIRE_OK(server);
  const ClientTls trusting = {.enabled = true, .ca = file("ca.crt")};
  CHECK_OK(Call((*server)->port(), trusting));
  CHECK_CODE(Call((*server)->port(), {}), absl::StatusCode::kUnavailable);
  CHECK_CODE(Call((*server)->port(), {.enabled = true}), absl::StatusCode::kUnavailable);

  FakeReward second;
  auto mutual = Server::Start(
      {.listen = "127.0.0.1:0",
       .tls = {.cert = file("server.crt"), .key = file("server.key"), .client_ca = file("ca.crt")}},
      {&second});
  REQUIRE_OK(mutual);
  CHECK_CODE(Call((*mutual)->port(), trusting), absl::StatusCode::kUnavailable);
  ClientTls known = trusting;
  known.cert = file("client.crt");
  known.key = file("client.key");
  CHECK_OK(Call((*mutual)->port(), known));

  FakeReward third;
  const absl::Status mismatch =
      Server::Start(
          {.listen = "127.0.0.1:0", .tls = {.cert = file("server.crt"), .key = file("other.key")}},
          {&third})
          .status();
  CHECK(mismatch.code() == absl::StatusCode::kInvalidArgument);
  CHECK(absl::StrContains(mismatch.message(), file("other.key")));
}

TEST_CASE("TLS files that are missing or hold something else are named", "[rpc]") {
  testing::TempDir dir;
  const std::string text = dir.path() + "/text";
  std::ofstream(text) << "hello\n";
  CHECK(
      MakeServerCredentials({.key = text}).status() ==
      absl::InvalidArgumentError("TLS: no file for the server certificate (expected a PEM file)"));
  CHECK(MakeServerCredentials({.cert = text, .key = text}).status().message() ==
        absl::StrCat("TLS: server certificate: ", text,
                     " has no PEM block (expected -----BEGIN CERTIFICATE-----)"));
  const absl::Status missing = MakeServerCredentials({.cert = "/nowhere/tls.crt"}).status();
  CHECK(missing.code() == absl::StatusCode::kNotFound);
  CHECK(absl::StrContains(missing.message(), "/nowhere/tls.crt"));
  CHECK_CODE(MakeChannelCredentials({.enabled = true, .ca = text}),
             absl::StatusCode::kInvalidArgument);
  CHECK_CODE(MakeChannelCredentials({.enabled = true, .cert = text}),
             absl::StatusCode::kInvalidArgument);
  CHECK_OK(MakeServerCredentials({}));
  CHECK_OK(MakeChannelCredentials({}));
}

}  // namespace
}  // namespace hone::rpc
