#include "absl/strings/ascii.h"
#include "libs/reward/math/compare.h"
#include "libs/reward/math/extract.h"
#include "libs/reward/math/parser.h"
#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

bool Same(const std::string& got, const std::string& want) {
  return Equal(math::Compare(math::ParseAnswer(got), math::ParseAnswer(want), math::Policy()));
}

std::string Found(const std::string& text) {
  const std::optional<math::Extraction> e = math::ExtractAnswer(text);
  return e.has_value() ? std::string(absl::StripAsciiWhitespace(e->answer)) : "(none)";
}

std::string Score(const std::string& completion, const std::string& answer) {
  v1::ScoreItem item = Item(completion);
  item.mutable_prompt()->set_answer(answer);
  static const RewardFunction f = Function(R"({"scorers": [{"name": "math"}]})");
  return Said(f.Score(item));
}

TEST_CASE("numbers are equal however they are written", "[reward]") {
  const std::vector<std::vector<std::string>> classes = {
      {"18",
       "18.",
       "18.0",
       "18.000",
       " 18 ",
       "+18",
       "$18",
       "\\$18",
       "$18$",
       "\\(18\\)",
       "018",
       "{18}",
       "\\text{18}",
       "\\mathrm{18}",
       "18\\%",
       "18 %",
       "18 percent",
       "18^\\circ",
       "18^{\\circ}",
       "18\u00b0",
       "18 degrees",
       "18 dollars",
       "18\\text{ cm}",
       "18 \\text{cm}^2",
       "18\\mbox{ square units}",
       "18 cm^{2}",
       "18cm",
       "x=18",
       "x = 18",
       "n_1 = 18",
       "36/2",
       "\\frac{36}{2}",
       "1.8e1",
       "1.8 \\times 10^1",
       "180 \\cdot 10^{-1}",
       "**18**",
       "18 km/h",
       "\\boxed{18}",
       "\\left 18 \\right",
       "18 apples",
       "18 dollars every day"},
      {"-5", "\u22125", "- 5", "-5.0", "-\\$5", "-\\frac{10}{2}", "\\frac{-10}{2}",
       "\\frac{10}{-2}", "-10/2"},
      {"0.5", ".5", "1/2", "\\frac{1}{2}", "\\frac12", "\\frac1{2}", "\\dfrac{1}{2}", "\\tfrac 1 2",
       "0.50", "2/4", "\\frac{ 1 }{ 2 }", "5e-01", "\\frac{0.5}{1}"},
      {"10000", "10,000", "10{,}000", "10\\,000", "10,\\!000", "10,\\! 000", "10 000", "1e4",
       "$10,000$", "\\$10,000.00"},
      {"1234567.25", "1,234,567.25", "1 234 567.25", "4938269/4"},
      {"2.5", "2\\frac{1}{2}", "2 \\frac12", "2 1/2", "\\frac52"},
      {"-2.5", "-2\\frac{1}{2}", "-2 1/2"},
      {"77", "\u20ac77", "77\u20ac", "77 \u20ac", "\u00a377.00"},
      {"0", "-0", "0.0", "0/5", "\\frac{0}{7}"},
      {"123456789012345678901234567890", "123,456,789,012,345,678,901,234,567,890.0"},
      {"0.1", "0.10000000000000000000000000"},
      {"0.1000000000000000000000000000000001"},
      {"1e4000"},
      {"1e-4000"},
  };
  for (size_t i = 0; i < classes.size(); ++i) {
    for (const std::string& a : classes[i]) {
      INFO(a);
      CHECK(math::ParseAnswer(a).form == math::Answer::kParsed);
      CHECK(Same(a, classes[i][0]));
      CHECK(Same(classes[i][0], a));
      for (size_t j = 0; j < classes.size(); ++j) {
        INFO(classes[j][0]);
        if (j != i) CHECK_FALSE(Same(a, classes[j][0]));
      }
    }
  }
}

TEST_CASE("texts are equal after normalisation only", "[reward]") {
  CHECK(Same("\\text{Evelyn}", "evelyn"));
  CHECK(Same("\\textbf{(C)}", "C"));
  CHECK(Same("\\sqrt2", "\\sqrt{2}"));
  CHECK(Same("3\\sqrt{13}", "3 \\sqrt {13}"));
  CHECK(Same("\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\dfrac{\\pi}{2})"));
  CHECK(Same("\\frac{\\pi}{2}", "\\frac \\pi2"));
  CHECK(Same("2\u03c0", "2\\pi"));
  CHECK(Same("\\begin{bmatrix}1\\\\2\\end{bmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"));
  CHECK(Same("x \\leq 2", "x \\le 2"));
  CHECK(Same("y = 2x", "2x"));
}

// Wrong accepts of other checkers, and the mutations that find them.
TEST_CASE("what differs is not equal", "[reward]") {
  const std::vector<std::pair<std::string, std::string>> different = {
      {"4", "4\\sqrt{2}"},
      {"4", "4\\sqrt(2)"},
      {"5x", "5"},
      {"5 x", "5"},
      {"5\\pi", "5"},
      {"5\u03c0", "5"},
      {"5i", "5"},
      {"5!", "5"},
      {"664_7", "664"},
      {"4210_5", "4210_7"},
      {"52_8", "528"},
      {"\\pm2021", "2021"},
      {"12:00", "1:00"},
      {"12:00", "12"},
      {"n=2,3,4", "n=1,2,3"},
      {"1,2,3", "123"},
      {"1,22", "122"},
      {"(1,2)", "(2,1)"},
      {"[0,1)", "(0,1)"},
      {"(2,251,252)", "2251252"},
      {"k=1", "y=1"},
      {"12\\text{ square units}", "12\\text{ gm}"},
      {"5 cm", "5 km"},
      {"5 am", "5 pm"},
      {"\u20ac5", "\u00a35"},
      {"5%", "5 cm"},
      {"6 and 8", "6"},
      {"6 or 8", "6"},
      {"5 million", "5"},
      {"3 squared", "3"},
      {"2^{10}", "2"},
      {"2^{10}", "2^{11}"},
      {"1/2004!", "1/2006!"},
      {"1-1/\\mathrm e", "1+1/\\mathrm e"},
      {"1.2.3", "1.2"},
      {"1/0", "0"},
      {"\\frac{1}{0}", "1"},
      {"0.33", "1/3"},
      {"0.3333333333333333", "1/3"},
      {"33%", "0.33"},
      {"1e5000", "1e5001"},
      {"AZYUK2A", "2"},
      {"x", "X"},
      {"\\infty", "-\\infty"},
      {"5 + 3", "5"},
      {"5 - 3", "5"},
      {"5, 6", "5"},
      {"", "0"},
  };
  for (const auto& [a, b] : different) {
    INFO(a << " and " << b);
    CHECK_FALSE(Same(a, b));
    CHECK_FALSE(Same(b, a));
    if (!a.empty()) CHECK(Same(a, a));
  }
}

TEST_CASE("the answer is found where models put it", "[reward]") {
  CHECK(Found("so \\boxed{18}.") == "18");
  CHECK(Found("\\boxed{1} then \\boxed{2}") == "2");
  CHECK(Found("\\boxed{\\frac{1}{2}}") == "\\frac{1}{2}");
  CHECK(Found("\\boxed{a\\}b}") == "a\\}b");
  CHECK(Found("\\fbox{7}") == "7");
  CHECK(Found("\\boxed {7}") == "7");
  CHECK(Found("$\\boxed 5$") == "5");
  CHECK(Found("{ { \\boxed{7}") == "7");
  CHECK(Found("\\boxed{7} and \\boxed{8") == "7");
  CHECK(Found("x\n#### 42\n") == "42");
  CHECK(Found("#### 1\n#### 2") == "2");
  CHECK(Found("<answer>9</answer>") == "9");
  CHECK(Found("\\boxed{1} <answer>so \\boxed{2}</answer>") == "2");
  CHECK(Found("\\boxed{1} <answer>3</answer>") == "3");
  CHECK(Found("The final answer is $28 \\%$. I hope it is correct.") == "28 \\%");
  CHECK(Found("The FINAL answer is: 3.5. Done.") == "3.5");
  CHECK(Found("Final Answer: The final answer is \\((-6, 10)\\). I hope it is correct.") ==
        "(-6, 10)");
  CHECK(Found("Thus the answer is \\[ 9 \\]") == "9");
  CHECK(Found("The answer is $18 per day.") == "$18 per day.");
  CHECK(Found("Work: 1\nAnswer: 18 dollars\n") == "18 dollars");
  CHECK(Found("**Answer:** 18") == "18");
  CHECK(Found("so 3*6=18\nA: 18") == "18");
  CHECK(Found("no idea: 18") == "(none)");
  CHECK(Found("") == "(none)");
}

TEST_CASE("the math scorer reads answers after the thoughts only", "[reward]") {
  CHECK(Score("<think>\\boxed{1}</think>\\boxed{18}", "18") == "SCORED 1");
  CHECK(Score("\\boxed{1}</think>\\boxed{18}", "18") == "SCORED 1");
  CHECK(Score("<think>\\boxed{18}</think>so it is", "18") == "UNPARSED 0");
  CHECK(Score("<think>\\boxed{18}", "18") == "UNPARSED 0");
  CHECK(Score("no answer here", "18") == "UNPARSED 0");
  CHECK(Score("\\boxed{}", "18") == "UNPARSED 0");
  CHECK(Score("\\boxed{$ $}", "18") == "UNPARSED 0");
  CHECK(Score("\\boxed{17}", "18") == "SCORED 0");
  CHECK(Score("\\boxed{18}", "16 + 2 = <<16+2=18>>18\n#### 18") == "SCORED 1");
  CHECK(Score("\\boxed{43500}", "43,500") == "SCORED 1");
  CHECK(Score("\\boxed{C}", "\\text{(C)}") == "SCORED 1");
}

TEST_CASE("a reference that holds nothing is a bad reference", "[reward]") {
  CHECK(Score("\\boxed{18}", "") == "BAD_REFERENCE 0");
  CHECK(Score("\\boxed{18}", " \n") == "BAD_REFERENCE 0");
  CHECK(Score("\\boxed{18}", "$$") == "BAD_REFERENCE 0");
  CHECK(Score("\\boxed{18}", "long proof #### ") == "BAD_REFERENCE 0");
  CHECK(Score("\\boxed{18}", std::string(5000, '1')) == "BAD_REFERENCE 0");
  CHECK(Score("\\boxed{" + std::string(5000, '1') + "}", "18") == "BUDGET 0");
}

TEST_CASE("the math scorer can insist on a form", "[reward]") {
  const RewardFunction f =
      Function(R"({"scorers": [{"name": "math", "options": {"require_format": "r1_zero"}}]})");
  const char* prompt = R"({"answer": "18"})";
  CHECK(Said(f.Score(Item("<think>a</think><answer>18</answer>", prompt))) == "SCORED 1");
  CHECK(Said(f.Score(Item("<think>a</think>\\boxed{18}", prompt))) == "UNPARSED 0");
  CHECK(Said(f.Score(Item("<think>a</think><answer>18</answer>", prompt,
                          v1::FINISH_REASON_LENGTH))) == "UNPARSED 0");
}

}  // namespace
}  // namespace hone::testing
