// Answers that other checkers got wrong, as reported in public: each by its place.

#include "libs/reward/math/compare.h"
#include "libs/reward/math/parser.h"
#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

struct Pair {
  const char* gold;
  const char* pred;
};

math::Match Check(const std::string& gold, const std::string& pred,
                  const math::Policy& policy = {}) {
  return math::Compare(math::ParseAnswer(pred), math::ParseAnswer(gold), policy);
}

TEST_CASE("wrong accepts of other checkers", "[reward]") {
  const Pair pairs[] = {
      // Math-Verify 41, 14, 60, 64, PR 82
      {"4", "4\\sqrt(2)"},
      {"4", "4\\sqrt{2}"},
      {"1/2004!", "1/2006!"},
      {"\\frac{1}{2^{99}}", "\\frac{1}{2^{98}}"},
      {"1/2^{99}", "1/2^{98}"},
      {"n=2,3,4", "n=1,2,3"},
      {"D=(0,1)", "D=(0,1.5)"},
      {"1-\\frac{1}{\\mathrm{e}}", "1+\\frac{1}{\\mathrm{e}}"},
      {"1-1/\\mathrm e", "1+1/\\mathrm e"},
      {"\\pm2021", "2021"},
      {"2021", "\\pm2021"},
      {"12:00", "1:00"},
      {"1,2,\\ldots,n", "1,3,5,\\ldots"},
      {"a+3z=0", "2x+z=1"},
      {"F_n=\\sum_{k=0}^{n-1}F_kF_{n-k-1}", "F_n=\\sum_{k=0}^{n-2}F_kF_{n-k-2}"},
      {"f(x)=0", "\\forall x>0, f(x)=0"},
      {"\\frac{\\frac{1}{2}", "2"},
      // reasoning-from-scratch 133
      {"52_8", "528"},
      {"(11,111)", "11,\\!111"},
      {"11,\\!111", "(11,111)"},
      // measured: bases and units
      {"664_7", "664"},
      {"443_5", "443"},
      {"4210_5", "4210_7"},
      {"3_4", "3"},
      {"8_9", "8_{10}"},
      {"12\\text{ square units}", "12\\text{ gm}"},
      {"5\\text{ cm}", "5\\text{ km}"},
      {"5\\text{ cm}", "5\\text{ cm}^2"},
      {"k=1", "y=1"},
      // Qwen and DeepSeek-Math: percent factors, bracket types, loose tolerances
      {"0.5", "50"},
      {"0.5", "5000"},
      {"50\\%", "5000\\%"},
      {"[1,2)", "(1,2)"},
      {"(1,2)", "[1,2]"},
      {"\\{1,2\\}", "[1,2]"},
      {"1000", "1000.05"},
      {"\\frac13", "0.3333"},
      {"3.14159", "\\pi"},
      // order, sign, type
      {"(1,2)", "(2,1)"},
      {"\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}2\\\\1\\end{pmatrix}"},
      {"\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1&2\\end{pmatrix}"},
      {"x>3", "x\\ge3"},
      {"x>3", "x<3"},
      {"x<4", "-x<-4"},
      {"y=2x+3", "y=2x-3"},
      {"x^2+y^2=13", "13"},
      {"1,2", "1"},
      {"1,2", "1,2,3"},
      {"(-\\infty,2)\\cup(3,\\infty)", "(-\\infty,2)\\cap(3,\\infty)"},
      {"(-\\infty,2)\\cup(3,\\infty)", "(-\\infty,2)"},
      {"5:30 \\text{ am}", "5:30 \\text{ pm}"},
      {"|x|", "x"},
      {"\\sqrt{x^2}", "x"},
      {"\\lfloor n/2\\rfloor", "n/2"},
      {"n!", "n"},
      {"i", "-i"},
      {"10^{100}", "10^{100}+1"},
      {"\\sqrt{10^{40}+1}", "10^{20}"},
      {"\\text{Monday}", "\\text{Sunday}"},
      {"\\text{(A)}", "\\text{(B)}"},
  };
  for (const Pair& p : pairs) {
    INFO(p.gold << " and " << p.pred);
    CHECK_FALSE(Equal(Check(p.gold, p.pred)));
  }
}

TEST_CASE("wrong rejects of other checkers", "[reward]") {
  const Pair pairs[] = {
      // Math-Verify 64, 69, 37, 2, 26; NeMo-Skills 1074; measured
      {"\\frac{1}{\\sqrt n}", "\\sqrt{1/n}"},
      {"\\sqrt{\\frac{1}{n}}", "\\frac{1}{\\sqrt{n}}"},
      {"\\frac{\\pi}{2}", "pi/2"},
      {"e^{16}-1", "exp(16)-1"},
      {"13", "\\text{13}"},
      {"\\frac{\\sqrt{\\sqrt{11}+\\sqrt{194}}}{15+2\\sqrt{33}}",
       "\\frac{\\sqrt{\\sqrt{11}+\\sqrt{194}}}{2\\sqrt{33}+15}"},
      {"\\sqrt{5+2\\sqrt6}", "\\sqrt2+\\sqrt3"},
      {"34x+45y-20z+100=0", "-34x-45y+20z-100=0"},
      {"2x+4y-3=0", "y=-\\frac{1}{2}x+\\frac{3}{4}"},
      {"16", "016"},
      {"342", "\\$342"},
      {"\\$342", "342"},
      {"448", "448\\text{ ml}"},
      {"448\\text{ ml}", "448"},
      {"6t-5", "-5+6t"},
      // forms of one value
      {"\\frac{\\sqrt3}{3}", "\\frac{1}{\\sqrt3}"},
      {"2\\sqrt{3}", "\\sqrt{12}"},
      {"\\sqrt{7}", "7^{1/2}"},
      {"-2", "\\sqrt[3]{-8}"},
      {"\\frac12", "\\sin 30^\\circ"},
      {"\\cos 58^\\circ", "\\sin(32^\\circ)"},
      {"3", "\\log_2 8"},
      {"-1", "e^{i\\pi}"},
      {"\\frac{1}{2}\\ln 2", "\\ln\\sqrt2"},
      {"120", "5!"},
      {"\\binom{2n}{n}", "\\frac{(2n)!}{(n!)^2}"},
      {"\\frac17", "0.\\overline{142857}"},
      {"0.1\\overline6", "\\frac16"},
      {"(x+1)^2", "x^2+2x+1"},
      {"\\frac{x^2-1}{x-1}", "x+1"},
      {"2\\sin x\\cos x", "\\sin 2x"},
      {"\\sin^2x+\\cos^2x", "1"},
      {"\\cot x", "\\frac{\\cos x}{\\sin x}"},
      {"x\\sqrt{x}", "x^{3/2}"},
      {"2^{k-1}", "\\frac{2^k}{2}"},
      {"137\\frac12", "137.5"},
      {"-2\\frac13", "-\\frac73"},
      // structures
      {"1,-2", "-2 \\text{ and } 1"},
      {"\\{1\\pm\\sqrt5,-2\\}", "-2, 1-\\sqrt5, 1+\\sqrt5"},
      {"x\\in[-2,7]", "-2\\le x\\le7"},
      {"[-2,7]", "-2 <= x <= 7"},
      {"x<-7", "(-\\infty,-7)"},
      {"x\\ne3", "(-\\infty,3)\\cup(3,\\infty)"},
      {"\\{x|-2\\leq x<1\\}", "[-2,1)"},
      {"(-\\infty,2)\\cup(3,\\infty)", "x<2 \\text{ or } x>3"},
      {"\\mathbb{R}", "(-\\infty,\\infty)"},
      {"(3,\\frac\\pi2)", "\\left( 3, \\frac{\\pi}{2} \\right)"},
      {"(p,q)=(3,2)", "(3,2)"},
      {"AB=4,CD=5", "4, 5"},
      {"x\\le5", "5\\ge x"},
      {"x=11", "x = 5+5+1 = 11"},
      {"11", "x=11"},
      {"f(x)=x+1", "f(t)=t+1"},
      {"f(x)=2x", "2x"},
      {"3:1", "6:2"},
      {"V_{1}:V_{2}=11:21", "11:21"},
      {"1:58 \\text{ am}", "1:58"},
      {"5\\text{ cm}", "0.05 \\text{ m}"},
      {"15\\mbox{ cm}^2", "15 square centimeters"},
      {"\\$0.50", "50\\text{ cents}"},
      {"5\\text{ apples}", "5 \\text{ red apples}"},
      {"100,100", "100100"},
      {"123,456", "123, 456"},
      {"21,16 or 11", "21,16,11"},
      {"\\text{(C)}", "C"},
      {"\\text{(C)}", "(C) because it is"},
      {"\\text{Evelyn}", "evelyn"},
      {"\\text{two}", "2"},
      {"\\begin{pmatrix}1/2\\\\0\\end{pmatrix}", "\\begin{bmatrix}0.5\\\\0\\end{bmatrix}"},
      {"6-5i", "-5i+6"},
      {"\\frac{1}{5}+\\frac{3}{5}i", "\\frac{1+3i}{5}"},
  };
  for (const Pair& p : pairs) {
    INFO(p.gold << " and " << p.pred);
    CHECK(Equal(Check(p.gold, p.pred)));
  }
}

TEST_CASE("a verdict says how equality was found", "[reward]") {
  using math::Match;
  CHECK(Check("\\frac12", "\\dfrac{1}{2}") == Match::kExact);
  CHECK(Check("\\frac12", "0.5") == Match::kProved);
  CHECK(Check("2\\sqrt3", "\\sqrt{12}") == Match::kProved);
  CHECK(Check("(x+1)^2", "x^2+2x+1") == Match::kProved);
  CHECK(Check("\\sin 2x", "2\\sin x\\cos x") == Match::kNumeric);
  CHECK(Check("\\frac12", "\\frac13") == Match::kUnequal);
  CHECK(Check("\\sqrt2", "1.41421356237309504880") == Match::kUnequal);
  CHECK(Check("5", "1,2") == Match::kDifferentType);
  CHECK(Check("5\\text{ cm}", "5\\text{ kg}") == Match::kDifferentType);
  CHECK(Check("5", "\\frac{5") == Match::kUnparsedPrediction);
  CHECK(Check("\\frac{5", "5") == Match::kUnparsedReference);
  CHECK(Check("\\frac{5", "\\frac{5") == Match::kExact);
}

TEST_CASE("policies are explicit", "[reward]") {
  math::Policy policy;
  CHECK(Equal(Check("33\\%", "33", policy)));
  CHECK_FALSE(Equal(Check("33\\%", "0.33", policy)));
  policy.percent = math::Policy::Percent::kFraction;
  CHECK(Equal(Check("33\\%", "0.33", policy)));
  CHECK(Equal(Check("0.33", "33\\%", policy)));
  policy.percent = math::Policy::Percent::kStrict;
  CHECK_FALSE(Equal(Check("33\\%", "33", policy)));
  CHECK(Equal(Check("33\\%", "33 percent", policy)));

  policy = {};
  policy.units = math::Policy::Units::kStrict;
  CHECK_FALSE(Equal(Check("5\\text{ cm}", "5", policy)));
  CHECK(Equal(Check("5\\text{ cm}", "5 centimeters", policy)));
  policy.units = math::Policy::Units::kIgnore;
  CHECK(Equal(Check("5\\text{ cm}", "5\\text{ kg}", policy)));

  policy = {};
  CHECK_FALSE(Equal(Check("\\frac{2}{9}", "0.2222", policy)));
  policy.approximation = math::Policy::Approximation::kRelative;
  policy.tolerance = math::Node(math::Kind::kNumber, "0.001");
  CHECK(Equal(Check("\\frac{2}{9}", "0.2222", policy)));
  CHECK(Equal(Check("90\\pi", "282.74", policy)));
  CHECK_FALSE(Equal(Check("\\frac{2}{9}", "0.23", policy)));
  CHECK_FALSE(Equal(Check("1000000", "1000001", policy)));  // integers are what they are
  policy.approximation = math::Policy::Approximation::kReferenceDecimals;
  CHECK(Equal(Check("0.22", "\\frac{2}{9}", policy)));
  CHECK(Equal(Check("0.22", "0.2249", policy)));
  CHECK_FALSE(Equal(Check("0.22", "0.2251", policy)));
  CHECK_FALSE(Equal(Check("\\frac{2}{9}", "0.22", policy)));
}

}  // namespace
}  // namespace hone::testing
