#include "libs/reward/expression.h"

#include "tests/testing/test.h"

namespace hone {
namespace {

std::string Value(const std::string& text, const std::string& operators = "+-*/") {
  const ExpressionResult r = EvaluateExpression(text, operators);
  switch (r.code) {
    case ExpressionResult::kOk:
      return std::to_string(r.numerator) +
             (r.denominator == 1 ? "" : "/" + std::to_string(r.denominator));
    case ExpressionResult::kSyntax:
      return "syntax";
    case ExpressionResult::kDivisionByZero:
      return "zero";
    case ExpressionResult::kOverflow:
      return "overflow";
    case ExpressionResult::kTooLong:
      return "long";
    case ExpressionResult::kTooDeep:
      return "deep";
  }
  return "?";
}

TEST_CASE("expressions follow precedence, associate to the left and stay exact", "[reward]") {
  CHECK(Value("7") == "7");
  CHECK(Value("1+2*3") == "7");
  CHECK(Value("(1+2)*3") == "9");
  CHECK(Value("10-3-2") == "5");
  CHECK(Value("100/10/5") == "2");
  CHECK(Value("1/3+1/6") == "1/2");
  CHECK(Value("1/3*3") == "1");
  CHECK(Value("8/(3-8/3)") == "24");
  CHECK(Value("2-3") == "-1");
  CHECK(Value("1/(2-4)") == "-1/2");
  CHECK(Value(" ( 1 +\t2 ) \n* 0 ") == "0");
  CHECK(Value("((((5))))") == "5");
}

TEST_CASE("expressions reject everything else", "[reward]") {
  for (const char* bad : {"",
                          " ",
                          "+",
                          "1+",
                          "-1+2",
                          "1--2",
                          "1 2",
                          "(1",
                          "1)",
                          "()",
                          "1+*2",
                          "1**2",
                          "2^3",
                          "1.5+1",
                          "1,000",
                          "01+1",
                          "a",
                          "1+a",
                          "0x10",
                          "1e3",
                          "1=1",
                          "1+2=3",
                          "\xc3\x97",
                          "1\xe2\x88\x92"
                          "1",
                          "__import__('os')"}) {
    INFO(bad);
    CHECK(Value(bad) == "syntax");
  }
  CHECK(Value(std::string("1+2\0", 4)) == "syntax");
  CHECK(Value(std::string("1\0+2", 4)) == "syntax");
  CHECK(Value("1*2", "+-") == "syntax");
  CHECK(Value("1-2+3", "+-") == "2");
}

TEST_CASE("expressions have limits, and say which one", "[reward]") {
  CHECK(Value("1/0") == "zero");
  CHECK(Value("5/(2-2)+1") == "zero");
  CHECK(Value("9223372036854775807+1") == "overflow");
  CHECK(Value("9223372036854775808") == "overflow");
  CHECK(Value("3000000000*3000000000/3000000000") == "3000000000");
  CHECK(Value("4000000000*4000000000") == "overflow");
  CHECK(Value("4000000000*4000000000/4000000000") == "overflow");
  CHECK(Value(std::string(100, '(') + "1" + std::string(100, ')')) == "1");
  CHECK(Value(std::string(101, '(') + "1" + std::string(101, ')')) == "deep");
  CHECK(Value(std::string(4097, '1')) == "long");
}

TEST_CASE("expressions tell their numbers in order, past faults too", "[reward]") {
  using V = std::vector<int64_t>;
  CHECK(EvaluateExpression("16+12-6", "+-").numbers == V{16, 12, 6});
  CHECK(EvaluateExpression("1/(2-2)*7", "+-*/").numbers == V{1, 2, 2, 7});
  CHECK(EvaluateExpression("99999999999999999999+7", "+").numbers == V{-1, 7});
}

}  // namespace
}  // namespace hone
