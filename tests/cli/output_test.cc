#include "services/cli/output.h"

#include <sstream>

#include "libs/rpc/status.h"
#include "proto/hone/v1/run.pb.h"
#include "tests/testing/test.h"

namespace hone::cli {
namespace {

TEST_CASE("a table aligns numbers right and text left", "[cli]") {
  std::ostringstream out, err;
  Output output(out, err, false);
  Table table({"NAME", "N"});
  table.Add({"a", "7"});
  table.Add({"long-name", "1,234"});
  table.Print(output);
  CHECK(out.str() == "NAME           N\na              7\nlong-name  1,234\n");
  CHECK(err.str().empty());
}

TEST_CASE("numbers and times are for people", "[cli]") {
  CHECK(Number(0.84444) == "0.844");
  CHECK(Number(0) == "0.000");
  CHECK(Number(0.0000132) == "1.3e-05");
  CHECK(Number(NAN) == "-");
  CHECK(Grouped(0) == "0");
  CHECK(Grouped(999) == "999");
  CHECK(Grouped(1234567) == "1,234,567");
  CHECK(Grouped(-123456) == "-123,456");
  CHECK(Elapsed(2) == "2.0 s");
  CHECK(Elapsed(65) == "1:05 min");
  CHECK(Elapsed(3723) == "1:02:03 h");
  CHECK(EnumName(v1::RunState_descriptor(), v1::RUN_STATE_SUCCEEDED) == "succeeded");
  CHECK(EnumName(v1::FinishReason_descriptor(), v1::FINISH_REASON_STOP_TOKEN) == "stop_token");
}

TEST_CASE("what a model writes cannot move the cursor", "[cli]") {
  CHECK(Printable("a\x1b[2Jb\nc\td\x7f") == "a\\x1b[2Jb\nc\td\\x7f");
}

TEST_CASE("progress is only for terminals", "[cli]") {
  std::ostringstream out, err;
  Output quiet(out, err, false);
  quiet.Progress("1 of 2");
  CHECK(err.str().empty());
  Output seen(out, err, true);
  seen.Progress("1 of 2");
  seen.Line("done");
  CHECK(err.str() == "\r\x1b[K1 of 2\r\x1b[K");
  CHECK(out.str() == "done\n");
}

TEST_CASE("an error names the fields that the message leaves out", "[cli]") {
  std::ostringstream out, err;
  Output output(out, err, false);
  output.Error(rpc::WithFieldViolations(absl::InvalidArgumentError("bad: too big"),
                                        {{"a.b", "too big"}, {"a.c", "missing"}}));
  CHECK(err.str() == "error: bad: too big\n  a.c: missing\n");
}

}  // namespace
}  // namespace hone::cli
