#include "libs/rpc/status.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/google/rpc/error_details.pb.h"
#include "proto/google/rpc/status.pb.h"

namespace hone::rpc {
namespace {

constexpr char kTypePrefix[] = "type.googleapis.com/";
constexpr char kDomain[] = "hone";
// A client in another language accepts 8 KiB of metadata unless it was told otherwise, the rest of
// the trailers included. Beyond that it sees RESOURCE_EXHAUSTED instead of our error.
constexpr size_t kMaxEncodedBytes = 7000;
constexpr size_t kMaxMessageBytes = 2000;

template <typename T>
std::string TypeUrl() {
  return absl::StrCat(kTypePrefix, T::descriptor()->full_name());
}

template <typename T>
std::optional<T> Get(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(TypeUrl<T>());
  T message;
  if (!payload.has_value() || !message.ParseFromString(std::string(*payload))) return std::nullopt;
  return message;
}

template <typename T>
void Set(const T& message, absl::Status* status) {
  status->SetPayload(TypeUrl<T>(), absl::Cord(message.SerializeAsString()));
}

// Length of `s` in the grpc-message header, where bytes outside printable ASCII take three.
size_t PercentEncodedSize(absl::string_view s) {
  size_t size = 0;
  for (char c : s) size += c >= 0x20 && c < 0x7f && c != '%' ? 1 : 3;
  return size;
}

// At most `limit` encoded bytes of `s`, cut between characters, and "..." when something is
// missing.
std::string Cut(absl::string_view s, size_t limit) {
  if (PercentEncodedSize(s) <= limit) return std::string(s);
  size_t end = 0;
  for (size_t size = 0; end < s.size(); ++end) {
    size += PercentEncodedSize(s.substr(end, 1));
    if (size + 3 > limit) break;
  }
  while (end > 0 && (static_cast<unsigned char>(s[end]) & 0xc0) == 0x80) --end;
  return absl::StrCat(s.substr(0, end), "...");
}

// Violations are the one detail that grows with the caller's mistakes: as many as fit are sent.
void AddDetail(const std::string& type, const absl::Cord& payload, size_t budget,
               google::rpc::Status* out) {
  google::rpc::Status with = *out;
  google::protobuf::Any* any = with.add_details();
  any->set_type_url(type);
  any->set_value(std::string(payload));
  google::rpc::BadRequest violations;
  if (with.ByteSizeLong() > budget && type == TypeUrl<google::rpc::BadRequest>() &&
      violations.ParseFromString(std::string(payload))) {
    while (with.ByteSizeLong() > budget && violations.field_violations_size() > 1) {
      violations.mutable_field_violations()->RemoveLast();
      any->set_value(violations.SerializeAsString());
    }
  }
  if (with.ByteSizeLong() <= budget) *out = std::move(with);
}

}  // namespace

std::string CodeName(int code) {
  static constexpr const char* kNames[] = {"OK",
                                           "CANCELLED",
                                           "UNKNOWN",
                                           "INVALID_ARGUMENT",
                                           "DEADLINE_EXCEEDED",
                                           "NOT_FOUND",
                                           "ALREADY_EXISTS",
                                           "PERMISSION_DENIED",
                                           "RESOURCE_EXHAUSTED",
                                           "FAILED_PRECONDITION",
                                           "ABORTED",
                                           "OUT_OF_RANGE",
                                           "UNIMPLEMENTED",
                                           "INTERNAL",
                                           "UNAVAILABLE",
                                           "DATA_LOSS",
                                           "UNAUTHENTICATED"};
  if (code < 0 || code >= static_cast<int>(std::size(kNames))) return absl::StrCat("CODE_", code);
  return kNames[code];
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const int code = static_cast<int>(status.code());
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(Cut(status.message(), kMaxMessageBytes));
  // Base64 makes four bytes of three.
  const size_t budget = (kMaxEncodedBytes - PercentEncodedSize(details.message())) / 4 * 3;
  if (!Get<google::rpc::ErrorInfo>(status).has_value()) {
    google::rpc::ErrorInfo info;
    info.set_reason(CodeName(code));
    info.set_domain(kDomain);
    details.add_details()->PackFrom(info);
  }
  // Small details first, in an order of their own: absl keeps none.
  std::vector<std::pair<std::string, absl::Cord>> payloads;
  status.ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
    if (absl::StartsWith(type, kTypePrefix)) payloads.emplace_back(std::string(type), payload);
  });
  std::sort(payloads.begin(), payloads.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.size(), a.first) < std::pair(b.second.size(), b.first);
  });
  for (const auto& [type, payload] : payloads) AddDetail(type, payload, budget, &details);
  return {static_cast<grpc::StatusCode>(code), details.message(), details.SerializeAsString()};
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details()))
    return result;
  for (const google::protobuf::Any& any : details.details())
    result.SetPayload(any.type_url(), absl::Cord(any.value()));
  return result;
}

absl::Status WithReason(absl::Status status, absl::string_view reason,
                        const std::map<std::string, std::string>& metadata) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(kDomain);
  for (const auto& [key, value] : metadata) (*info.mutable_metadata())[key] = value;
  Set(info, &status);
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  const auto info = Get<google::rpc::ErrorInfo>(status);
  return info.has_value() ? info->reason() : "";
}

absl::Status WithRetryDelay(absl::Status status, Duration delay) {
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(delay.count() / 1'000'000'000);
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(delay.count() % 1'000'000'000));
  Set(info, &status);
  return status;
}

std::optional<Duration> RetryDelayOf(const absl::Status& status) {
  const auto info = Get<google::rpc::RetryInfo>(status);
  if (!info.has_value()) return std::nullopt;
  // A peer's number: keep it within what a Duration holds.
  const int64_t seconds = std::clamp<int64_t>(info->retry_delay().seconds(), 0, 86'400);
  const int64_t nanos = std::clamp(info->retry_delay().nanos(), 0, 999'999'999);
  return Duration(seconds * 1'000'000'000 + nanos);
}

absl::Status WithFieldViolations(absl::Status status, const FieldViolations& violations) {
  google::rpc::BadRequest details;
  for (const auto& [field, description] : violations) {
    auto* violation = details.add_field_violations();
    violation->set_field(field);
    violation->set_description(description);
  }
  Set(details, &status);
  return status;
}

FieldViolations FieldViolationsOf(const absl::Status& status) {
  FieldViolations violations;
  if (const auto details = Get<google::rpc::BadRequest>(status)) {
    for (const auto& v : details->field_violations())
      violations.emplace_back(v.field(), v.description());
  }
  return violations;
}

}  // namespace hone::rpc
