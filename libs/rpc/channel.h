#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "libs/base/clock.h"
#include "libs/rpc/tls.h"

namespace hone::rpc {

// For calls that say nothing else.
inline constexpr Duration kDefaultTimeout = std::chrono::seconds(30);
// The most that a unary call may take, whatever its caller said.
inline constexpr Duration kMaxUnaryTimeout = std::chrono::minutes(10);

struct ChannelOptions {
  ClientTls tls;
  // Full names of services ("hone.v1.RunService") whose unary methods get kMaxUnaryTimeout as a
  // backstop, for the caller that forgot its deadline. Streams have none: some stay open for as
  // long as a run.
  std::vector<std::string> services;
  int max_receive_bytes = 4 << 20;
  // Calls failing with UNAVAILABLE before an answer are repeated inside gRPC, up to so many
  // attempts in all (2 to 5; 1: off). Only for services whose calls may be repeated. For outages
  // longer than about a second use Retrier.
  int max_attempts = 4;
};

// A connection to `target` ("host:port", "dns:///host:port"), made lazily and again after each
// loss. Never blocks. INVALID_ARGUMENT for an empty target or an unknown service; see tls.h for the
// rest.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& target,
                                                           const ChannelOptions& options = {});

// Gives a call its deadline and a random request id, and returns that id. Call it before every
// call.
std::string PrepareCall(grpc::ClientContext& context, Duration timeout = kDefaultTimeout);
// The same without a deadline, for streams that stay open.
std::string PrepareStream(grpc::ClientContext& context);

// The status of a call, with the name of the peer in front of the message of UNAVAILABLE and
// DEADLINE_EXCEEDED: "coordinator at host:50051: failed to connect to all addresses".
absl::Status FromCall(const grpc::Status& status, absl::string_view peer);

// The gRPC service config that MakeChannel uses, as JSON.
absl::StatusOr<std::string> ServiceConfig(const ChannelOptions& options);

}  // namespace hone::rpc
