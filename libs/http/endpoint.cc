#include "libs/http/endpoint.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace hone::http {
namespace {

double Seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

// A value from [1/2, 1] times `pause`, so that many callers do not come back at once.
Duration Jittered(Duration pause) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const double part = std::uniform_real_distribution<double>(0.5, 1)(random);
  return std::chrono::duration_cast<Duration>(pause * part);
}

bool Printable(absl::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

absl::Status CheckOptions(const EndpointOptions& o) {
  const auto wrong = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("endpoint \"", o.url, "\": ", what));
  };
  if (o.url.find('@') != std::string::npos)  // not repeated: it may hold a password
    return absl::InvalidArgumentError(
        "the URL of an endpoint names a user; give a key by file or environment variable");
  if (!absl::StartsWith(o.url, "http://") && !absl::StartsWith(o.url, "https://"))
    return wrong("expected http://host or https://host");
  if (!Printable(o.url) || o.url.find_first_of("?#") != std::string::npos)
    return wrong("expected no query, fragment or white space");
  if (!Printable(o.api_key))
    return wrong("the API key has characters that cannot be sent in a header");
  if (o.concurrency < 1 || o.concurrency > 4096)
    return wrong(absl::StrCat("concurrency is ", o.concurrency, ", expected 1 to 4096"));
  if (o.attempts < 1 || o.attempts > 100)
    return wrong(absl::StrCat("attempts is ", o.attempts, ", expected 1 to 100"));
  if (o.attempt_timeout <= Duration(0)) return wrong("the time-out of an attempt is not positive");
  if (o.max_reply_bytes < 1) return wrong("max_reply_bytes is not positive");
  if (o.breaker_failures < 1) return wrong("breaker_failures is not positive");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Endpoint>> Endpoint::Create(EndpointOptions options) {
  while (absl::EndsWith(options.url, "/")) options.url.pop_back();
  HONE_RETURN_IF_ERROR(CheckOptions(options));
  return std::unique_ptr<Endpoint>(new Endpoint(std::move(options)));
}

absl::StatusOr<bool> Endpoint::Enter(TimePoint deadline) {
  MutexLock lock(mu_);
  const bool free = lock.WaitUntil(left_, deadline, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return running_ < options_.concurrency;
  });
  if (!free)
    return absl::DeadlineExceededError(absl::StrCat(options_.url, ": all ", options_.concurrency,
                                                    " requests that it may have at once are busy"));
  const bool probe = failures_ >= options_.breaker_failures;
  if (probe) {
    if (probing_ || SystemClock::Get().Now() < open_until_)
      return absl::UnavailableError(absl::StrCat(options_.url, ": failed ", failures_,
                                                 " times in a row; left alone for now"));
    probing_ = true;
  }
  ++running_;
  return probe;
}

void Endpoint::Leave(bool probe, bool answered, bool failure) {
  MutexLock lock(mu_);
  --running_;
  if (probe) probing_ = false;
  if (failure) {
    ++failures_;
    open_until_ = SystemClock::Get().Now() + options_.breaker_pause;
  } else if (answered) {
    failures_ = 0;
  }
  left_.notify_one();
}

Endpoint::Attempt Endpoint::Try(const Request& request, TimePoint deadline) {
  const TimePoint now = SystemClock::Get().Now();
  const bool own =
      deadline - now > options_.attempt_timeout;  // the attempt's limit, not the item's
  absl::StatusOr<Response> response =
      client_.Fetch(request, own ? now + options_.attempt_timeout : deadline);
  Attempt attempt;
  if (!response.ok()) {
    const bool late = absl::IsDeadlineExceeded(response.status());
    attempt.body =
        late && own ? absl::UnavailableError(response.status().message()) : response.status();
    attempt.again = absl::IsUnavailable(attempt.body.status());
    // A deadline says little of the server: it may have been short.
    attempt.failure = attempt.again;
    return attempt;
  }
  const int code = response->code;
  if (code >= 200 && code < 300) {
    attempt.body = std::move(response->body);
    return attempt;
  }
  const std::string what = absl::StrCat(request.url, ": HTTP status ", code);
  attempt.again =
      code == 408 || code == 429 || code == 500 || code == 502 || code == 503 || code == 504;
  attempt.failure = code >= 500;
  attempt.body = attempt.again ? absl::UnavailableError(what) : absl::FailedPreconditionError(what);
  attempt.asked = response->retry_after.value_or(Duration(0));
  return attempt;
}

absl::StatusOr<std::string> Endpoint::Post(absl::string_view path, const std::string& json,
                                           TimePoint deadline) {
  Request request;
  request.url = absl::StrCat(options_.url, path);
  request.headers = {"Content-Type: application/json", "Accept: application/json"};
  if (!options_.api_key.empty())
    request.headers.push_back(absl::StrCat("Authorization: Bearer ", options_.api_key));
  request.body = json;
  request.max_reply_bytes = options_.max_reply_bytes;

  Duration pause = options_.first_pause;
  for (int number = 1;; ++number) {
    HONE_ASSIGN_OR_RETURN(const bool probe, Enter(deadline));
    Attempt attempt = Try(request, deadline);
    Leave(probe, attempt.body.ok() || absl::IsFailedPrecondition(attempt.body.status()),
          attempt.failure);
    if (!attempt.again) return std::move(attempt.body);
    const absl::Status& last = attempt.body.status();
    if (number == options_.attempts)
      return absl::UnavailableError(
          absl::StrCat(last.message(), " (attempt ", number, " of ", options_.attempts, ")"));
    const Duration wait = std::max(attempt.asked, Jittered(pause));
    pause = std::min(2 * pause, options_.longest_pause);
    if (deadline != kNoDeadline && SystemClock::Get().Now() + wait >= deadline)
      return absl::UnavailableError(absl::StrCat(last.message(),
                                                 "; no time is left for a pause of ", Seconds(wait),
                                                 " s and another attempt"));
    SystemClock::Get().SleepFor(wait);
  }
}

absl::StatusOr<std::string> LoadApiKey(const std::string& file, const std::string& variable) {
  if (!file.empty() && !variable.empty())
    return absl::InvalidArgumentError(absl::StrCat("an API key comes from file ", file,
                                                   " or from variable ", variable, ", not both"));
  std::string key;
  if (!file.empty()) {
    constexpr int64_t kLongestKey = 16 << 10;
    HONE_ASSIGN_OR_RETURN(key, ReadFile(file, kLongestKey));
  } else if (!variable.empty()) {
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr)
      return absl::NotFoundError(absl::StrCat("there is no environment variable ", variable));
    key = value;
  } else {
    return key;
  }
  key = std::string(absl::StripAsciiWhitespace(key));
  if (key.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("the API key in ", file.empty() ? variable : file, " is empty"));
  return key;
}

}  // namespace hone::http
