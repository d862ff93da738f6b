#include "libs/rpc/channel.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"
#include "libs/base/status.h"
#include "libs/rpc/call_observer.h"
#include "libs/rpc/grpc_log.h"
#include "libs/rpc/keepalive.h"
#include "libs/rpc/status.h"

namespace hone::rpc {
namespace {

std::string NewRequestId() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return absl::StrCat(absl::Hex(random(), absl::kZeroPad16));
}

}  // namespace

absl::StatusOr<std::string> ServiceConfig(const ChannelOptions& options) {
  std::string retry;
  if (options.max_attempts > 1) {
    retry =
        absl::StrCat("\"retryPolicy\":{\"maxAttempts\":", std::min(options.max_attempts, 5),
                     ",\"initialBackoff\":\"0.1s\",\"maxBackoff\":\"1s\",\"backoffMultiplier\":2,"
                     "\"retryableStatusCodes\":[\"UNAVAILABLE\"]}");
  }
  // Methods that are named do not inherit from the entry for all others.
  std::vector<std::string> unary;
  for (const std::string& name : options.services) {
    const google::protobuf::ServiceDescriptor* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    if (service == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "service \"", name, "\" is not known (expected a full name such as hone.v1.RunService)"));
    }
    for (int i = 0; i < service->method_count(); ++i) {
      if (service->method(i)->client_streaming() || service->method(i)->server_streaming())
        continue;
      unary.push_back(absl::StrCat("{\"service\":\"", name, "\",\"method\":\"",
                                   service->method(i)->name(), "\"}"));
    }
  }
  std::string config = "{\"methodConfig\":[";
  if (!unary.empty()) {
    absl::StrAppend(&config, "{\"name\":[", absl::StrJoin(unary, ","), "],\"timeout\":\"",
                    std::chrono::duration_cast<std::chrono::seconds>(kMaxUnaryTimeout).count(),
                    "s\"", retry.empty() ? "" : ",", retry, "},");
  }
  absl::StrAppend(&config, "{\"name\":[{}]", retry.empty() ? "" : ",", retry, "}]}");
  return config;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& target,
                                                           const ChannelOptions& options) {
  UseHoneLogInGrpc();
  if (target.empty())
    return absl::InvalidArgumentError("no address to connect to (expected host:port)");
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<grpc::ChannelCredentials> credentials,
                        MakeChannelCredentials(options.tls));
  HONE_ASSIGN_OR_RETURN(const std::string config, ServiceConfig(options));
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(config);
  // The file of a DNS TXT record must not overrule ours.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetMaxReceiveMessageSize(options.max_receive_bytes);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  // A chunk of weights comes in one go, not in windows of 64 KiB that grow with experience.
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 << 20);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A peer that restarts is back in seconds; gRPC's own default waits up to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 3'000);
  if (!options.tls.server_name.empty()) arguments.SetSslTargetNameOverride(options.tls.server_name);
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

std::string PrepareCall(grpc::ClientContext& context, Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  return PrepareStream(context);
}

std::string PrepareStream(grpc::ClientContext& context) {
  std::string id = NewRequestId();
  context.AddMetadata(kRequestIdKey, id);
  return id;
}

absl::Status FromCall(const grpc::Status& status, absl::string_view peer) {
  const absl::Status plain = FromGrpc(status);
  if (!absl::IsUnavailable(plain) && !absl::IsDeadlineExceeded(plain)) return plain;
  absl::Status named(plain.code(), absl::StrCat(peer, ": ", plain.message()));
  plain.ForEachPayload(
      [&](absl::string_view type, const absl::Cord& payload) { named.SetPayload(type, payload); });
  return named;
}

}  // namespace hone::rpc
