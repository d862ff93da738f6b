#include "libs/http/client.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/mutex.h"

namespace hone::http {
namespace {

struct CurlDeleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using CurlHandle = std::unique_ptr<CURL, CurlDeleter>;
using HeaderList = std::unique_ptr<curl_slist, CurlDeleter>;

struct Reply {
  std::string* body;
  int64_t limit;
  bool too_long = false;
};

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  Reply& reply = *static_cast<Reply*>(user);
  const size_t bytes = size * count;
  if (static_cast<int64_t>(reply.body->size() + bytes) > reply.limit) {
    reply.too_long = true;
    return 0;  // ends the transfer
  }
  reply.body->append(data, bytes);
  return bytes;
}

// Long enough for anything; curl counts in milliseconds of a long.
constexpr std::chrono::hours kLongest{24 * 7};

}  // namespace

// Idle handles: each keeps its last connections.
class Client::Handles {
 public:
  CurlHandle Take() {
    {
      MutexLock lock(mu_);
      if (!idle_.empty()) {
        CurlHandle handle = std::move(idle_.back());
        idle_.pop_back();
        return handle;
      }
    }
    CurlHandle handle(curl_easy_init());
    HONE_CHECK(handle != nullptr) << "curl_easy_init";
    return handle;
  }
  void Return(CurlHandle handle) {
    curl_easy_reset(handle.get());  // options only: connections and the DNS cache stay
    MutexLock lock(mu_);
    if (idle_.size() < kMostIdle) idle_.push_back(std::move(handle));
  }

 private:
  static constexpr size_t kMostIdle = 64;
  Mutex mu_;
  std::vector<CurlHandle> idle_ ABSL_GUARDED_BY(mu_);
};

Client::Client() : handles_(std::make_unique<Handles>()) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  HONE_CHECK(ready == CURLE_OK) << curl_easy_strerror(ready);
}

Client::~Client() = default;

absl::StatusOr<Response> Client::Fetch(const Request& request, TimePoint deadline) {
  const auto late = [&](absl::string_view what) {
    return absl::DeadlineExceededError(absl::StrCat(request.url, ": ", what));
  };
  const Duration left =
      deadline == kNoDeadline
          ? Duration(kLongest)
          : std::min<Duration>(deadline - SystemClock::Get().Now(), Duration(kLongest));
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  if (milliseconds <= 0) return late("no time is left for the request");
  if (!absl::StartsWith(request.url, "http://") && !absl::StartsWith(request.url, "https://"))
    return absl::InvalidArgumentError(
        absl::StrCat("\"", request.url, "\": expected http:// or https://"));

  CurlHandle handle = handles_->Take();
  CURL* curl = handle.get();
  Response response;
  Reply reply{&response.body, request.max_reply_bytes};
  char detail[CURL_ERROR_SIZE] = "";
  HeaderList headers;
  const auto add = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    HONE_CHECK(longer != nullptr) << "out of memory";
    headers.release();
    headers.reset(longer);
  };
  for (const std::string& line : request.headers) add(line);
  add("Expect:");  // bodies are sent at once
  bool set = true;
  const auto option = [&](CURLoption name, auto value) {
    set = set && curl_easy_setopt(curl, name, value) == CURLE_OK;
  };
  option(CURLOPT_URL, request.url.c_str());
  option(CURLOPT_PROTOCOLS_STR, "http,https");
  option(CURLOPT_NOSIGNAL, 1L);
  option(CURLOPT_TIMEOUT_MS, static_cast<long>(milliseconds));
  option(CURLOPT_ERRORBUFFER, detail);
  option(CURLOPT_WRITEFUNCTION, &OnBody);
  option(CURLOPT_WRITEDATA, &reply);
  option(CURLOPT_HTTPHEADER, headers.get());
  option(CURLOPT_USERAGENT, "hone");
  if (request.direct) option(CURLOPT_NOPROXY, "*");
  if (request.body.has_value()) {
    option(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    option(CURLOPT_POSTFIELDS, request.body->data());
  }
  HONE_CHECK(set) << "curl_easy_setopt";
  const CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OK) {
    long status = 0;
    curl_off_t seconds = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
      response.retry_after = std::chrono::seconds(std::min<curl_off_t>(seconds, 3600));
    response.code = static_cast<int>(status);
  }
  // A handle whose transfer failed goes as well: its connection is in an unknown state.
  if (code == CURLE_OK) handles_->Return(std::move(handle));

  const std::string why =
      absl::StrCat(request.url, ": ", detail[0] != '\0' ? detail : curl_easy_strerror(code));
  switch (code) {
    case CURLE_OK:
      return response;
    case CURLE_OPERATION_TIMEDOUT:
      return late("no complete answer in time");
    case CURLE_URL_MALFORMAT:
      return absl::InvalidArgumentError(why);
    case CURLE_WRITE_ERROR:
      if (reply.too_long)
        return absl::OutOfRangeError(absl::StrCat(request.url, ": the reply has more than ",
                                                  request.max_reply_bytes, " bytes"));
      return absl::UnavailableError(why);
    default:
      return absl::UnavailableError(why);
  }
}

}  // namespace hone::http
