#include "libs/http/from_spec.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace hone::http {

absl::StatusOr<std::unique_ptr<Endpoint>> FromSpec(const v1::BackendSpec& spec,
                                                   absl::string_view where) {
  const auto with_place = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(where, ": ", status.message()));
  };
  constexpr double kLongestSeconds = 86400;
  if (!(spec.timeout_seconds() >= 0 && spec.timeout_seconds() <= kLongestSeconds))
    return absl::InvalidArgumentError(absl::StrCat(where, ".timeout_seconds is ",
                                                   spec.timeout_seconds(), ", expected 0 to ",
                                                   kLongestSeconds));
  absl::StatusOr<std::string> key = LoadApiKey(spec.api_key_file(), spec.api_key_env());
  if (!key.ok()) return with_place(key.status());
  EndpointOptions options;
  options.url = spec.url();
  options.api_key = *std::move(key);
  // Negative values are refused by Create.
  if (spec.concurrency() != 0) options.concurrency = spec.concurrency();
  if (spec.attempts() != 0) options.attempts = spec.attempts();
  if (spec.max_reply_bytes() != 0) options.max_reply_bytes = spec.max_reply_bytes();
  if (spec.timeout_seconds() > 0)
    options.attempt_timeout =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(spec.timeout_seconds()));
  absl::StatusOr<std::unique_ptr<Endpoint>> endpoint = Endpoint::Create(std::move(options));
  if (!endpoint.ok()) return with_place(endpoint.status());
  return endpoint;
}

}  // namespace hone::http
