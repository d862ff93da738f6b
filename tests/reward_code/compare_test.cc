#include "libs/reward/code/compare.h"

#include "tests/testing/test.h"

namespace hone::code {
namespace {

TEST_CASE("Words are compared whatever white space is between them") {
  const auto same = [](const char* got, const char* want) {
    return SameOutput(got, want, Comparison::kTokens, 0);
  };
  CHECK(same("1 2\n3\n", "1  2 3"));
  CHECK(same("", " \n"));
  CHECK_FALSE(same("1 2", "1 2 3"));
  CHECK_FALSE(same("1 2 3 4", "1 2 3"));
  CHECK_FALSE(same("12 3", "1 23"));
  CHECK_FALSE(same("1.0", "1"));
  CHECK_FALSE(same("YES", "yes"));
}

TEST_CASE("Lines and bytes are stricter") {
  CHECK(SameOutput("a  b \nc\n\n", "a  b\nc", Comparison::kLines, 0));
  CHECK_FALSE(SameOutput("a b\nc", "a  b\nc", Comparison::kLines, 0));
  CHECK_FALSE(SameOutput("a\n\nb", "a\nb", Comparison::kLines, 0));
  CHECK_FALSE(SameOutput("a", "a\nb", Comparison::kLines, 0));
  CHECK(SameOutput("a\n", "a\n", Comparison::kExact, 0));
  CHECK_FALSE(SameOutput("a", "a\n", Comparison::kExact, 0));
}

TEST_CASE("A tolerance is for decimal numbers only, and only where it is asked for") {
  const auto same = [](const char* got, const char* want, double tolerance = 1e-6) {
    return SameOutput(got, want, Comparison::kTokens, tolerance);
  };
  CHECK(same("0.3333333", "0.33333333"));
  CHECK(same("1000000.4", "1000000.0"));
  CHECK(same("2.0", "2"));
  CHECK_FALSE(same("0.3334", "0.3333"));
  CHECK_FALSE(same("0.3333333", "0.33333333", 0));
  CHECK_FALSE(same("1000001", "1000000"));  // whole numbers are exact
  CHECK_FALSE(same("nan", "1.0"));
  CHECK_FALSE(same("inf", "1e400"));
  CHECK_FALSE(same("0x1.8p0", "1.5"));
  CHECK_FALSE(same("1.5abc", "1.5"));
}

}  // namespace
}  // namespace hone::code
