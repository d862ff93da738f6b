#include "libs/reward/lean/reply.h"

#include <algorithm>

#include "tests/reward_lean/fake.h"

namespace hone::lean {
namespace {

// All frames of `bytes`, fed in pieces of `piece` bytes.
std::vector<std::string> Frames(absl::string_view bytes, size_t piece, int64_t limit = 1 << 20) {
  FrameReader reader(limit);
  std::vector<std::string> frames;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    REQUIRE_OK(reader.Feed(bytes.substr(at, piece)));
    while (auto frame = reader.Next()) frames.push_back(*frame);
  }
  return frames;
}

TEST_CASE("frames end at blank lines, however the bytes arrive", "[reward_lean]") {
  const std::string text =
      "\n \r\n{\"env\": 0,\n \"a\": 1}\n\n\n{\"env\": 1}\r\n\t\r\n{\"b\":\n\n{\"cut";
  const std::vector<std::string> whole = Frames(text, text.size());
  REQUIRE(whole.size() == 3);
  CHECK(whole[0] == "{\"env\": 0,\n \"a\": 1}\n");
  CHECK(whole[1] == "{\"env\": 1}\r\n");
  CHECK(whole[2] == "{\"b\":\n");
  for (size_t piece = 1; piece < 8; ++piece) CHECK(Frames(text, piece) == whole);
}

TEST_CASE("a frame beyond the limit ends the reader", "[reward_lean]") {
  FrameReader reader(10);
  CHECK_OK(reader.Feed("12345678\n\n1234"));
  CHECK_OK(reader.Feed("5678\n\n"));  // ten with the blank line
  CHECK_CODE(reader.Feed("12345678901"), absl::StatusCode::kOutOfRange);
  CHECK_CODE(reader.Feed("\n\n{}\n\n"), absl::StatusCode::kOutOfRange);
  CHECK(reader.Next() == "12345678\n");
  CHECK(reader.Next() == "12345678\n");
  CHECK_FALSE(reader.Next().has_value());
}

TEST_CASE("replies are read strictly", "[reward_lean]") {
  const absl::StatusOr<Reply> reply = ParseReply(
      R"({"env": 3, "sorries": [{}, {}], "tactics": [1], "infotree": {"a": [[[]]]}, "messages": [
          {"severity": "warning", "pos": {"line": 4, "column": 2}, "endPos": null, "data": "d ⊢"}]})",
      "test");
  REQUIRE_OK(reply);
  CHECK(reply->env == 3);
  CHECK(reply->sorries == 2);
  CHECK_FALSE(reply->error.has_value());
  REQUIRE(reply->messages.size() == 1);
  CHECK(reply->messages[0].severity == Message::Severity::kWarning);
  CHECK(reply->messages[0].line == 4);
  CHECK(reply->messages[0].column == 2);
  CHECK(reply->messages[0].data == "d ⊢");
  CHECK(ParseReply(R"({"message": "Unknown environment."})", "test")->error ==
        "Unknown environment.");

  const std::string deep = "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  for (
      const std::string& wrong : {
          std::string(""),
          std::string("[]"),
          std::string("3"),
          std::string("{} {}"),
          std::string("{\"env\": -1}"),
          std::string("{\"env\": 1.5}"),
          std::string("{\"env\": \"1\"}"),
          std::string("{\"env\": 1, \"env\": 2}"),
          std::string("{\"env\": 99999999999999999999}"),
          std::string("{\"env\": NaN}"),
          std::string("{\"messages\": {}}"),
          std::string("{\"messages\": [3]}"),
          std::string("{\"messages\": [{}]}"),
          std::string("{\"sorries\": 0}"),
          std::string("{\"message\": 1}"),
          std::string("{\"env\": 1"),
          std::string("\xff{}"),
          std::string("{\"a\": \"\\ud800\"}"),
          std::string("{}\0", 3),
          deep,
          std::string(
              R"({"messages": [{"severity": "fatal", "pos": {"line": 1, "column": 0}, "data": ""}]})"),
          std::string(R"({"messages": [{"severity": "error", "pos": {"line": 1}, "data": ""}]})"),
          std::string(R"({"messages": [{"severity": "error", "pos": 3, "data": ""}]})"),
          std::string(R"({"messages": [{"severity": "error", "pos": {"line": 1, "column": 0}}]})"),
      }) {
    INFO(wrong.substr(0, 100));
    CHECK_CODE(ParseReply(wrong, "test"), absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("results of a server have a reply or an error", "[reward_lean]") {
  const auto results = ParseRemoteResults(
      R"({"results": [{"custom_id": "a", "error": "Lean process timed out", "response": null},
                      {"id": "b", "error": null, "response": {"time": 1.5, "env": 0}}]})",
      "test");
  REQUIRE_OK(results);
  REQUIRE(results->size() == 2);
  CHECK((*results)[0].error == "Lean process timed out");
  CHECK_FALSE((*results)[0].reply.has_value());
  CHECK((*results)[1].id == "b");
  CHECK((*results)[1].reply->seconds == 1.5);
  for (const char* wrong :
       {"{}", R"({"results": {}})", R"({"results": [1]})", R"({"results": [{"custom_id": "a"}]})",
        R"({"results": [{"custom_id": "a", "error": "x", "response": {}}]})",
        R"({"results": [{"response": {}}]})", R"({"results": [{"custom_id": 1, "response": {}}]})",
        R"({"results": [{"custom_id": "a", "response": [] }]})"}) {
    INFO(wrong);
    CHECK_CODE(ParseRemoteResults(wrong, "test"), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace hone::lean
