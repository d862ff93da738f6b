#pragma once

namespace hone::rpc {

// Sends gRPC's own log lines through hone::Log from now on. Idempotent and thread-safe.
void UseHoneLogInGrpc();

}  // namespace hone::rpc
