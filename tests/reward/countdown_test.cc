#include "libs/reward/countdown_generator.h"
#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

const char kAny[] = R"({"scorers": [{"name": "countdown"}]})";
const char kPuzzle[] = R"({"metadata": {"numbers": [16, 6, 12], "target": 22}})";
// The rule of the demo: the whole completion in form, + and - only; 1.0 for right, 0.1 for the
// form.
const char kDemo[] = R"({"scorers": [
    {"name": "countdown", "weight": 1.0, "options": {"operators": "+-", "require_format": "r1_zero"}},
    {"name": "format", "weight": 0.1, "options": {"template": "r1_zero"}}]})";

std::string Answer(const std::string& expression, const char* prompt = kPuzzle) {
  return Said(Function(kAny).Score(Item("<answer>" + expression + "</answer>", prompt)));
}

TEST_CASE("countdown wants each number once and the target", "[reward]") {
  CHECK(Answer("16+12-6") == "SCORED 1");
  CHECK(Answer(" ( 16 - 6 ) + 12 ") == "SCORED 1");
  CHECK(Answer("12-(6-16)") == "SCORED 1");
  CHECK(Answer("16+6") == "SCORED 0");  // reaches it without the 12
  CHECK(Answer("22") == "SCORED 0");
  CHECK(Answer("16+12-6+6-6") == "SCORED 0");
  CHECK(Answer("16+12+6") == "SCORED 0");  // the numbers, another value
  CHECK(Answer("1+6+12-6") == "SCORED 0");
  CHECK(Answer("16+12-6=22") == "SCORED 0");
  CHECK(Answer("-6+16+12") == "SCORED 0");  // signs are not operators
  CHECK(Answer("") == "SCORED 0");
  CHECK(Answer("16/(6-6)+12") == "SCORED 0");
  CHECK(Answer("99999999999999999999+6+12") == "SCORED 0");
}

TEST_CASE("countdown is exact with fractions and repeated numbers", "[reward]") {
  const char* p24 = R"({"metadata": {"numbers": [3, 3, 8, 8], "target": 24}})";
  CHECK(Answer("8/(3-8/3)", p24) == "SCORED 1");
  CHECK(Answer("3*8", p24) == "SCORED 0");
  const char* third = R"({"metadata": {"numbers": [1, 3, 3], "target": 1}})";
  CHECK(Answer("1/3*3", third) == "SCORED 1");
  const char* near = R"({"metadata": {"numbers": [999999999, 1000000000], "target": 1}})";
  CHECK(Answer("999999999/1000000000", near) == "SCORED 0");
  const char* zero = R"({"metadata": {"numbers": [0, 5], "target": -5}})";
  CHECK(Answer("0-5", zero) == "SCORED 1");
  CHECK(Answer("5/0", zero) == "SCORED 0");
  const char* large = R"({"metadata": {"numbers": [1e9, 1e9, 1e9, 1], "target": 1}})";
  CHECK(Answer("1000000000*1000000000*1000000000*1", large) == "BUDGET 0");
}

TEST_CASE("countdown reads the last answer after the thoughts", "[reward]") {
  const RewardFunction f = Function(kAny);
  CHECK(Said(f.Score(Item("16+12-6", kPuzzle))) == "UNPARSED 0");
  CHECK(Said(f.Score(Item("<answer>16+12-6", kPuzzle))) == "UNPARSED 0");
  CHECK(Said(f.Score(Item("<think><answer>16+12-6</answer>", kPuzzle))) == "UNPARSED 0");
  CHECK(Said(f.Score(Item("<think><answer>16+12-6</answer></think>", kPuzzle))) == "UNPARSED 0");
  CHECK(Said(f.Score(Item("<think>x</think><answer>1</answer> no, <answer>16+12-6</answer>",
                          kPuzzle))) == "SCORED 1");
  CHECK(Said(f.Score(Item("<answer>16+12-6</answer><answer>1</answer>", kPuzzle))) == "SCORED 0");
}

TEST_CASE("a prompt without a usable puzzle is our fault, not the model's", "[reward]") {
  for (const char* prompt : {
           "{}",
           R"({"metadata": {"numbers": [1, 2]}})",
           R"({"metadata": {"target": 3}})",
           R"({"metadata": {"numbers": [], "target": 3}})",
           R"({"metadata": {"numbers": "1,2", "target": 3}})",
           R"({"metadata": {"numbers": [1.5, 2], "target": 3}})",
           R"({"metadata": {"numbers": [-1, 2], "target": 3}})",
           R"({"metadata": {"numbers": [1, "2"], "target": 3}})",
           R"({"metadata": {"numbers": [1, 1e300], "target": 3}})",
           R"({"metadata": {"numbers": [1, 2], "target": "3"}})",
           R"({"metadata": {"numbers": [1, 2], "target": 0.5}})",
       }) {
    INFO(prompt);
    const v1::Verdict verdict = Function(kAny).Score(Item("<answer>1+2</answer>", prompt));
    CHECK(Said(verdict) == "BAD_REFERENCE 0");
    CHECK(verdict.outcome() == v1::OUTCOME_BAD_REFERENCE);
    CHECK(verdict.parts(0).reason().find("metadata") != std::string::npos);
  }
}

TEST_CASE("the demo's reward is 1.1 for right, 0.1 for wrong in form, 0 out of form", "[reward]") {
  const RewardFunction f = Function(kDemo);
  auto score = [&f](const std::string& text,
                    v1::FinishReason finish = v1::FINISH_REASON_STOP_TOKEN) {
    const v1::Verdict verdict = f.Score(Item(text, kPuzzle, finish));
    CHECK(verdict.outcome() == v1::OUTCOME_SCORED);
    CHECK(verdict.correct() == (verdict.score() > 1));
    return verdict.score();
  };
  const std::string right = "<think>16-12=4+6=10no.</think><answer>16+12-6</answer>";
  CHECK(score(right) == Approx(1.1));
  CHECK(score("<think></think><answer>16+12+6</answer>") == Approx(0.1));
  CHECK(score("<think></think><answer>16*12-6</answer>") == Approx(0.1));
  CHECK(score("<think></think><answer>no</answer>") == Approx(0.1));
  CHECK(score("<answer>16+12-6</answer>") == 0);
  CHECK(score(right + "ok") == 0);
  CHECK(score("ok" + right) == 0);
  CHECK(score("<think><answer>1</answer></think><answer>16+12-6</answer>") == 0);
  CHECK(score(right, v1::FINISH_REASON_LENGTH) == 0);
}

TEST_CASE("every demonstration is in form, and scored as it says itself", "[reward]") {
  const RewardFunction f = Function(kDemo);
  CountdownGenerator generator(7, 0);
  int right = 0;
  constexpr int kCount = 2000;
  for (int i = 0; i < kCount; ++i) {
    const CountdownInstance instance = generator.Next(CountdownSplit::kTrain);
    const std::string demo = generator.Demonstrate(instance);
    const std::string text = demo.substr(0, demo.size() - std::string("<eos>").size());
    const std::string prompt = "{\"metadata\":" + CountdownLine("x", instance, "") + "}";
    const v1::Verdict verdict = f.Score(Item(text, prompt.c_str()));
    INFO(prompt << " " << text);
    CHECK(verdict.correct() == (text.find("ok.") != std::string::npos));
    CHECK(verdict.score() == Approx(verdict.correct() ? 1.1 : 0.1));
    right += verdict.correct() ? 1 : 0;
  }
  // 53.6 % by construction; four standard errors are 4.5 points.
  CHECK(right > kCount * 0.49);
  CHECK(right < kCount * 0.58);
}

}  // namespace
}  // namespace hone::testing
