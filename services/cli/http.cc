#include "services/cli/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"

namespace hone::cli {
namespace {

constexpr size_t kMaxBytes = 16 << 20;

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

absl::StatusOr<HttpAnswer> HttpGet(const std::string& address, const std::string& path,
                                   Duration timeout) {
  sockaddr_in to;
  if (!ToAddress(address, &to)) return BadAddress(address);
  const auto unavailable = [&](absl::string_view what) {
    return absl::UnavailableError(absl::StrCat("http://", address, path, ": ", what));
  };
  const FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot make a socket for", address);
  timeval limit;
  limit.tv_sec = timeout / std::chrono::seconds(1);
  limit.tv_usec = timeout % std::chrono::seconds(1) / std::chrono::microseconds(1);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    return unavailable("nobody listens");
  const std::string request =
      absl::StrCat("GET ", path, " HTTP/1.0\r\nHost: ", address, "\r\nConnection: close\r\n\r\n");
  if (send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    return unavailable("the connection was closed");
  std::string answer;
  char buffer[4096];
  while (answer.size() < kMaxBytes) {
    const ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
    if (n < 0) return unavailable("no answer in time");
    if (n == 0) break;
    answer.append(buffer, static_cast<size_t>(n));
  }
  // "HTTP/1.1 200 OK", headers, an empty line.
  HttpAnswer result;
  const size_t body = answer.find("\r\n\r\n");
  if (answer.rfind("HTTP/1.", 0) != 0 || body == std::string::npos ||
      !absl::SimpleAtoi(answer.substr(9, 3), &result.code))
    return unavailable("the answer is not HTTP");
  result.body = answer.substr(body + 4);
  return result;
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
