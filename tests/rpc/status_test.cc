#include "libs/rpc/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/google/rpc/status.pb.h"
#include "tests/testing/test.h"

namespace hone::rpc {
namespace {

TEST_CASE("a status keeps code, message and details over the wire and back", "[rpc]") {
  absl::Status status = absl::FailedPreconditionError("prompt set \"a\" is open");
  status = WithReason(status, "PROMPT_SET_NOT_SEALED", {{"prompt_set", "a"}});
  status = WithRetryDelay(status, std::chrono::milliseconds(1500));
  status = WithFieldViolations(status, {{"stages[0].grpo.prompt_set", "is open"}});
  const grpc::Status wire = ToGrpc(status);
  CHECK(wire.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  CHECK(wire.error_message() == "prompt set \"a\" is open");
  // Other languages' libraries insist on the same code and message within the details.
  google::rpc::Status details;
  REQUIRE(details.ParseFromString(wire.error_details()));
  CHECK(details.code() == 9);
  CHECK(details.message() == wire.error_message());
  CHECK(details.details_size() == 3);

  const absl::Status back = FromGrpc(wire);
  CHECK(back == status);
  CHECK(ReasonOf(back) == "PROMPT_SET_NOT_SEALED");
  CHECK(RetryDelayOf(back) == std::chrono::milliseconds(1500));
  CHECK(FieldViolationsOf(back) == FieldViolations{{"stages[0].grpo.prompt_set", "is open"}});
}

TEST_CASE("the details are bytes of the public format", "[rpc]") {
  // google.rpc.Status{code: 5, message: "no", details: [Any{type_url: ".../google.rpc.ErrorInfo",
  // value: ErrorInfo{reason: "R", domain: "hone"}}]}, written by hand from the field numbers.
  const std::string info = "\x0a\x01R\x12\x04hone";
  const std::string type = "type.googleapis.com/google.rpc.ErrorInfo";
  const std::string any =
      absl::StrCat("\x0a", std::string(1, static_cast<char>(type.size())), type, "\x12",
                   std::string(1, static_cast<char>(info.size())), info);
  const std::string want =
      absl::StrCat("\x08\x05\x12\x02no\x1a", std::string(1, static_cast<char>(any.size())), any);
  CHECK(ToGrpc(WithReason(absl::NotFoundError("no"), "R")).error_details() == want);
}

TEST_CASE("every error has a reason, at least its code's name", "[rpc]") {
  CHECK(ReasonOf(FromGrpc(ToGrpc(absl::NotFoundError("x")))) == "NOT_FOUND");
  CHECK(ReasonOf(absl::NotFoundError("x")) == "");
  CHECK(ToGrpc(absl::OkStatus()).ok());
  CHECK(ToGrpc(WithReason(absl::OkStatus(), "X")).ok());
  CHECK_OK(FromGrpc(grpc::Status::OK));
}

TEST_CASE("errors from elsewhere need no details", "[rpc]") {
  CHECK(FromGrpc({grpc::StatusCode::UNAVAILABLE, "gone"}) == absl::UnavailableError("gone"));
  CHECK(FromGrpc({grpc::StatusCode::INTERNAL, "x", "\xff\xff not a message"}) ==
        absl::InternalError("x"));
  CHECK(!RetryDelayOf(absl::UnavailableError("x")).has_value());
  CHECK(FieldViolationsOf(absl::UnavailableError("x")).empty());
}

TEST_CASE("an error never outgrows the metadata that a client accepts", "[rpc]") {
  FieldViolations violations;
  for (int i = 0; i < 1000; ++i)
    violations.emplace_back(absl::StrCat("f", i), std::string(40, 'x'));
  std::string message;
  for (int i = 0; i < 5000; ++i) message += "\xc3\xa9";
  const grpc::Status wire = ToGrpc(
      WithReason(WithFieldViolations(absl::InvalidArgumentError(message), violations), "BAD"));
  CHECK(wire.error_message().size() * 3 + wire.error_details().size() * 4 / 3 < 7500);
  CHECK(absl::EndsWith(wire.error_message(), "\xc3\xa9..."));
  const absl::Status back = FromGrpc(wire);
  CHECK(ReasonOf(back) == "BAD");
  const FieldViolations kept = FieldViolationsOf(back);
  CHECK(kept.size() > 10);
  CHECK(kept.front().first == "f0");
}

TEST_CASE("a hostile retry delay is bounded", "[rpc]") {
  CHECK(*RetryDelayOf(WithRetryDelay(absl::UnavailableError("x"), std::chrono::hours(1000))) ==
        std::chrono::hours(24));
}

TEST_CASE("codes have their canonical names", "[rpc]") {
  CHECK(CodeName(0) == "OK");
  CHECK(CodeName(14) == "UNAVAILABLE");
  CHECK(CodeName(16) == "UNAUTHENTICATED");
  CHECK(CodeName(99) == "CODE_99");
}

}  // namespace
}  // namespace hone::rpc
