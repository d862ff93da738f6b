#pragma once

// Transport security from PEM files, as Kubernetes mounts them (tls.crt, tls.key, ca.crt).

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"

namespace hone::rpc {

// All empty: no TLS.
struct ServerTls {
  std::string cert;  // file with the server's certificate chain
  std::string key;   // file with its private key
  std::string
      client_ca;  // file with the authority of client certificates; set: clients must show one
};
struct ClientTls {
  bool enabled = false;
  std::string
      ca;  // file with the authority of the server's certificate; empty: the system's authorities
  std::string cert;  // this client's certificate chain and key, for servers that ask for them
  std::string key;
  std::string server_name;  // expected in the server's certificate; empty: the host of the target
};

// INVALID_ARGUMENT when a file that belongs to the set is not named or holds no PEM block of the
// kind expected; NOT_FOUND and the like when it cannot be read. Errors name the file.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const ServerTls& tls);
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const ClientTls& tls);

}  // namespace hone::rpc
