#include "libs/base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "libs/base/file.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using internal::FormatLogJson;
using internal::FormatLogText;
using internal::JsonString;
constexpr int64_t kTime = 1767225600'123'456'789;  // 2026-01-01T00:00:00.123456789Z

TEST_CASE("A log line is one JSON object with time, level, service, message and fields", "[base]") {
  CHECK(FormatLogJson(LogLevel::kWarning, kTime, "learner", "a \"b\"",
                      {{"s", "x\ny"}, {"i", -3}, {"u", ~uint64_t{0}}, {"d", 0.1}, {"b", true}}) ==
        "{\"ts\":\"2026-01-01T00:00:00.123Z\",\"level\":\"warning\",\"service\":\"learner\","
        "\"msg\":\"a \\\"b\\\"\",\"s\":\"x\\ny\",\"i\":-3,\"u\":18446744073709551615,\"d\":0.1,"
        "\"b\":true}\n");
  CHECK(FormatLogJson(LogLevel::kError, 0, "", "m", {}) ==
        "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"level\":\"error\",\"msg\":\"m\"}\n");
}

TEST_CASE("A log line on a terminal is short and cannot command it", "[base]") {
  CHECK(FormatLogText(LogLevel::kInfo, kTime, "learner", "step\x1b[2J done", {{"step", 3}}) ==
        "00:00:00.123 I learner: step\\u001b[2J done  step=3\n");
}

TEST_CASE("JSON strings are escaped, and broken UTF-8 is replaced", "[base]") {
  CHECK(JsonString("tab\t nul" + std::string(1, '\0') + " back\\ quote\"") ==
        R"("tab\t nul\u0000 back\\ quote\"")");
  CHECK(JsonString("é 中 🙂") == "\"é 中 🙂\"");
  CHECK(JsonString("a\xff"
                   "b") == R"("a\ufffdb")");
  CHECK(JsonString("\xc0\xaf") == R"("\ufffd\ufffd")");                      // Overlong.
  CHECK(JsonString("\xed\xa0\x80") == R"("\ufffd\ufffd\ufffd")");            // Surrogate.
  CHECK(JsonString("\xf4\x90\x80\x80") == R"("\ufffd\ufffd\ufffd\ufffd")");  // Beyond U+10FFFF.
  CHECK(JsonString("\xe4\xb8") == R"("\ufffd\ufffd")");                      // Cut off.
}

TEST_CASE("Numbers that JSON lacks are strings", "[base]") {
  CHECK(LogField("x", std::nan("")).json == "\"nan\"");
  CHECK(LogField("x", -INFINITY).json == "\"-inf\"");
  CHECK(LogField("x", 1e300).json == "1e+300");
  CHECK(LogField("x", 2.5f).json == "2.5");
  CHECK(LogField("x", absl::NotFoundError("no run r1")).json == "\"NOT_FOUND: no run r1\"");
}

TEST_CASE("Lines of several threads do not mix, and debug is off by default", "[base]") {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/log";
  const int saved = ::dup(STDERR_FILENO);
  const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  REQUIRE(file >= 0);
  ::dup2(file, STDERR_FILENO);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) {
        Log(LogLevel::kInfo, "line", {{"pad", std::string(100, static_cast<char>('a' + t))}});
        Log(LogLevel::kDebug, "unseen");
      }
    });
  for (std::thread& t : threads) t.join();
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  ::close(file);

  const std::string text = *ReadFile(path, 10 << 20);
  CHECK_THAT(text, !Catch::Contains("unseen"));
  int lines = 0;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = text.substr(begin, end - begin);
    const size_t pad = line.find(",\"pad\":\"");
    REQUIRE(pad != std::string::npos);
    REQUIRE(line.substr(pad + 8) == std::string(100, line[pad + 8]) + "\"}");
    ++lines;
  }
  CHECK(lines == 800);
}

}  // namespace
}  // namespace hone
