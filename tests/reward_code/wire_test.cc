#include "libs/reward/code/wire.h"

#include "libs/reward/code/dialect.h"
#include "tests/testing/test.h"

namespace hone::code {
namespace {

std::string Nested(int depth) {
  std::string body;
  for (int i = 0; i < depth; ++i) PutCount(body, 'L', 1);
  return body + "N";
}

TEST_CASE("Whole values within the limits are accepted") {
  std::string body = "NTF";
  PutInteger(body, -255);
  PutText(body, "text");
  PutCount(body, 'M', 1);
  PutText(body, "key");
  body += 'D' + std::string(8, '\x7f');
  body += 'X';
  PutText(body, "Decimal");
  PutCount(body, 'U', 1);
  PutText(body, "1.5");
  body += 'H' + std::string(8, '\0');
  PutText(body, "Node");
  CHECK_OK(CheckValues(body));
  CHECK_OK(CheckValues(""));
  CHECK_OK(CheckValues(Nested(kMaxDepth)));
}

TEST_CASE("Everything else is refused, at every cut") {
  std::string body;
  PutCount(body, 'L', 2);
  PutInteger(body, 16);
  PutText(body, "abc");
  CHECK_OK(CheckValues(body));
  for (size_t size = 1; size < body.size(); ++size) {
    INFO(size);
    CHECK_CODE(CheckValues(body.substr(0, size)), absl::StatusCode::kInvalidArgument);
  }
  for (const std::string& wrong :
       {std::string("?"), std::string("I\1\0\0\0g", 6), std::string("I\1\0\0\0-", 6),
        std::string("I\0\0\0\0", 5), std::string("S\xff\xff\xff\xff", 5), std::string("XN"),
        std::string("L\xff\xff\xff\xff", 5), Nested(kMaxDepth + 1)}) {
    CHECK_CODE(CheckValues(wrong), absl::StatusCode::kInvalidArgument);
  }
  std::string many;
  PutCount(many, 'L', kMaxValues + 1);
  many.append(kMaxValues + 1, 'N');
  CHECK_CODE(CheckValues(many), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Frames come whole, however they are cut") {
  const std::string bytes = Frame('v', "abc") + Frame('o', "") + Frame('x', std::string(1000, 'y'));
  for (size_t step : {size_t{1}, size_t{3}, size_t{7}, bytes.size()}) {
    FrameReader reader;
    std::string kinds;
    for (size_t at = 0; at < bytes.size(); at += step) {
      reader.Append(absl::string_view(bytes).substr(at, step));
      while (true) {
        const auto message = reader.Next();
        REQUIRE_OK(message);
        if (!message->has_value()) break;
        kinds += (*message)->kind;
      }
    }
    CHECK(kinds == "vox");
  }
  for (const std::string& wrong : {std::string(4, '\0'), std::string(4, '\xff')}) {
    FrameReader reader;
    reader.Append(wrong);
    CHECK_CODE(reader.Next(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("Numbers and texts are taken as they were put") {
  for (int64_t number : {int64_t{0}, int64_t{9}, int64_t{-1}, int64_t{123456789}}) {
    std::string body;
    PutInteger(body, number);
    PutText(body, "rest");
    absl::string_view view = body;
    CHECK(TakeText(view) == std::nullopt);
    CHECK(TakeInteger(view) == number);
    CHECK(TakeText(view) == "rest");
    CHECK(TakeText(view) == std::nullopt);
  }
}

TEST_CASE("The dialect of shells carries texts") {
  const auto shell = ShellDialect();
  std::string body;
  PutText(body, "");
  PutText(body, "a b\n");
  CHECK(shell->Write('v', body) == "vw w\\0141\\0040\\0142\\0012\n");
  const std::string bytes = "c2:0:3:x:1e3:1:11:14:why!o0:";
  for (char c : bytes.substr(0, bytes.size() - 1)) shell->Append(std::string(1, c));
  auto message = shell->Next();
  REQUIRE_OK(message);
  REQUIRE(message->has_value());
  CHECK((*message)->kind == 'c');
  absl::string_view view = (*message)->body;
  CHECK(TakeText(view) == "");
  CHECK(TakeText(view) == "x:1");
  message = shell->Next();
  view = (*message)->body;
  CHECK(TakeInteger(view) == 1);
  CHECK(TakeInteger(view) == 1);
  CHECK(TakeText(view) == "why!");
  CHECK_FALSE(shell->Next()->has_value());
  shell->Append(":");
  CHECK((*shell->Next())->kind == 'o');
  for (const char* wrong : {"v123456789:", "vx:", "v1:-1:"}) {
    const auto reader = ShellDialect();
    reader->Append(wrong);
    CHECK_CODE(reader->Next(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace hone::code
