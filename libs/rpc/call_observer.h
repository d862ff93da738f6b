#pragma once

// Counts and times every call of a server, and logs those that fail.

#include <memory>

#include "grpcpp/support/server_interceptor.h"
#include "libs/telemetry/metrics.h"

namespace hone::rpc {

// Client metadata that names a call in logs of both sides.
inline constexpr char kRequestIdKey[] = "x-request-id";

// An interceptor factory for one server. With `metrics` (may be null; else outlives the server):
//   grpc_server_started_total{grpc_type,grpc_service,grpc_method}
//   grpc_server_handled_total{grpc_type,grpc_service,grpc_method,grpc_code}
//   grpc_server_handling_seconds{grpc_type,grpc_service,grpc_method}
// A call that ends with another code than OK is logged with method, code, message, peer, seconds
// and request id: a warning for the server's own faults, debug for what belongs to waiting
// (UNAVAILABLE, RESOURCE_EXHAUSTED, CANCELLED, DEADLINE_EXCEEDED), else info.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallObserver(
    Metrics* metrics);

}  // namespace hone::rpc
