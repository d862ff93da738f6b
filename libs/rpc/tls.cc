#include "libs/rpc/tls.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace hone::rpc {
namespace {

constexpr int64_t kMaxPemBytes = 1 << 20;

// `what` as in "server certificate"; `block` as in "CERTIFICATE".
absl::StatusOr<std::string> ReadPem(const std::string& path, absl::string_view what,
                                    absl::string_view block) {
  if (path.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("TLS: no file for the ", what, " (expected a PEM file)"));
  absl::StatusOr<std::string> pem = ReadFile(path, kMaxPemBytes);
  if (!pem.ok())
    return absl::Status(pem.status().code(),
                        absl::StrCat("TLS: ", what, ": ", pem.status().message()));
  // Private keys come as "PRIVATE KEY", "RSA PRIVATE KEY" or "EC PRIVATE KEY".
  if (!absl::StrContains(*pem, "-----BEGIN ") ||
      !absl::StrContains(*pem, absl::StrCat(block, "-----"))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "TLS: ", what, ": ", path, " has no PEM block (expected -----BEGIN ", block, "-----)"));
  }
  return pem;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const ServerTls& tls) {
  if (tls.cert.empty() && tls.key.empty() && tls.client_ca.empty())
    return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      tls.client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                            : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  HONE_ASSIGN_OR_RETURN(pair.cert_chain, ReadPem(tls.cert, "server certificate", "CERTIFICATE"));
  HONE_ASSIGN_OR_RETURN(pair.private_key, ReadPem(tls.key, "server key", "PRIVATE KEY"));
  options.pem_key_cert_pairs.push_back(std::move(pair));
  if (!tls.client_ca.empty()) {
    HONE_ASSIGN_OR_RETURN(options.pem_root_certs,
                          ReadPem(tls.client_ca, "client authority", "CERTIFICATE"));
  }
  return grpc::SslServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const ClientTls& tls) {
  if (!tls.enabled) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  if (!tls.ca.empty()) {
    HONE_ASSIGN_OR_RETURN(options.pem_root_certs,
                          ReadPem(tls.ca, "server authority", "CERTIFICATE"));
  }
  if (!tls.cert.empty() || !tls.key.empty()) {
    HONE_ASSIGN_OR_RETURN(options.pem_cert_chain,
                          ReadPem(tls.cert, "client certificate", "CERTIFICATE"));
    HONE_ASSIGN_OR_RETURN(options.pem_private_key, ReadPem(tls.key, "client key", "PRIVATE KEY"));
  }
  return grpc::SslCredentials(options);
}

}  // namespace hone::rpc
