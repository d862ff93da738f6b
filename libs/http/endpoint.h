#pragma once

// One HTTP service that answers JSON with JSON: how many requests at once, what is tried again and
// when it is left alone.

#include <condition_variable>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/http/client.h"

namespace hone::http {

struct EndpointOptions {
  std::string url;       // http[s]://host[:port][/path], without user, query and fragment
  std::string api_key;   // sent as bearer token; in no error and no log. Empty: none
  int concurrency = 16;  // requests at once; others wait
  int attempts = 4;      // at most, for one Post
  Duration attempt_timeout = std::chrono::seconds(60);
  int64_t max_reply_bytes = int64_t{4} << 20;
  // Pauses double from the first to the longest, each drawn from [1/2, 1] times that. A server's
  // Retry-After replaces a shorter one.
  Duration first_pause = std::chrono::milliseconds(250);
  Duration longest_pause = std::chrono::seconds(8);
  // The circuit breaker: after so many failures in a row requests fail at once, until one request
  // after the pause succeeds.
  int breaker_failures = 8;
  Duration breaker_pause = std::chrono::seconds(10);
};

// Thread-safe.
class Endpoint {
 public:
  // INVALID_ARGUMENT for options out of range, or a URL or key that cannot be sent.
  static absl::StatusOr<std::unique_ptr<Endpoint>> Create(EndpointOptions options);

  // POSTs `json` to url + `path`; the body of a 2xx reply, unread: it may be anything. Tries again,
  // in the time that `deadline` leaves, what may pass: no connection, a broken one, an attempt that
  // took too long, status 408, 429, 500, 502, 503, 504. Errors:
  //   DEADLINE_EXCEEDED  `deadline` came first
  //   UNAVAILABLE        all attempts failed, the breaker is open, or the server asks for a longer
  //                      wait than there is time
  //   OUT_OF_RANGE       the reply is too long
  //   FAILED_PRECONDITION  any other status: the request, the key or the address is wrong
  absl::StatusOr<std::string> Post(absl::string_view path, const std::string& json,
                                   TimePoint deadline);

  const std::string& url() const { return options_.url; }

 private:
  // What one attempt came to.
  struct Attempt {
    absl::StatusOr<std::string> body;
    bool again = false;    // another attempt may do better
    bool failure = false;  // the breaker counts it
    Duration asked{0};     // Retry-After
  };

  explicit Endpoint(EndpointOptions options) : options_(std::move(options)) {}
  // Waits for its turn. Whether the request is the one that tries out a service that was left
  // alone.
  absl::StatusOr<bool> Enter(TimePoint deadline);
  void Leave(bool probe, bool answered, bool failure);
  Attempt Try(const Request& request, TimePoint deadline);

  const EndpointOptions options_;
  Client client_;
  Mutex mu_;
  std::condition_variable left_;
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  int failures_ ABSL_GUARDED_BY(mu_) = 0;  // in a row
  bool probing_ ABSL_GUARDED_BY(mu_) = false;
  TimePoint open_until_ ABSL_GUARDED_BY(mu_);
};

// A key out of a file or an environment variable, white space at its ends removed. Empty when both
// names are. INVALID_ARGUMENT when both are set, NOT_FOUND when there is no such variable, the
// errors of ReadFile. Errors name the file or variable only.
absl::StatusOr<std::string> LoadApiKey(const std::string& file, const std::string& variable);

}  // namespace hone::http
