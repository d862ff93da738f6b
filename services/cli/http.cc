#include "services/cli/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"

namespace hone::cli {
namespace {

bool ToAddress(const std::string& address, sockaddr_in* out) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port < 1 || port > 65535)
    return false;
  *out = {};
  out->sin_family = AF_INET;
  out->sin_port = htons(static_cast<uint16_t>(port));
  return inet_pton(AF_INET, address.substr(0, colon).c_str(), &out->sin_addr) == 1;
}

absl::Status BadAddress(const std::string& address) {
  return absl::InvalidArgumentError(absl::StrCat("\"", address, "\": expected IPv4:port"));
}

}  // namespace

absl::StatusOr<http::Response> HttpGet(const std::string& address, const std::string& path,
                                       Duration timeout) {
  sockaddr_in to;
  if (!ToAddress(address, &to)) return BadAddress(address);
  static auto* const client = new http::Client;  // for as long as the process: threads may use it
  http::Request request;
  request.url = absl::StrCat("http://", address, path);
  request.direct = true;
  absl::StatusOr<http::Response> response =
      client->Fetch(request, SystemClock::Get().Now() + timeout);
  if (response.ok()) return response;
  return absl::UnavailableError(response.status().message());
}

absl::Status CheckPortFree(const std::string& address) {
  sockaddr_in at;
  if (!ToAddress(address, &at)) return BadAddress(address);
  const FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot make a socket for", address);
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0)
    return absl::OkStatus();
  return ErrnoStatus(errno, "cannot listen on", address);
}

}  // namespace hone::cli
