#pragma once

// HTTP requests to services that we did not write: verifiers, models, probes. The only door to
// libcurl.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"

namespace hone::http {

struct Request {
  std::string url;                   // http:// or https://
  std::vector<std::string> headers;  // "Content-Type: application/json"
  std::optional<std::string> body;   // set: POST, else GET
  int64_t max_reply_bytes = int64_t{16} << 20;
  bool direct = false;  // ignores the proxies that the environment names
};

struct Response {
  int code = 0;  // 100 to 599
  std::string body;
  std::optional<Duration> retry_after;  // what the server asked for, at most an hour
};

// Keeps connections open between requests. Thread-safe: as many requests at once as there are
// callers. Redirects are not followed, certificates are checked, signals are not used.
class Client {
 public:
  Client();
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Any answer with a status code is a Response. Errors name the URL, never headers or body:
  // INVALID_ARGUMENT for a URL that cannot be used, UNAVAILABLE when nobody answers or not in HTTP,
  // DEADLINE_EXCEEDED, OUT_OF_RANGE when the reply is longer than `max_reply_bytes`.
  absl::StatusOr<Response> Fetch(const Request& request, TimePoint deadline);

 private:
  class Handles;
  const std::unique_ptr<Handles> handles_;
};

}  // namespace hone::http
