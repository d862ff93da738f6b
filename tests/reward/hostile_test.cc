#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

std::string Repeat(const std::string& piece, size_t bytes) {
  std::string all;
  all.reserve(bytes + piece.size());
  while (all.size() < bytes) all += piece;
  all.resize(bytes);
  return all;
}

// What a policy that looks for holes, or a broken one, may send. Every scorer must answer soon and
// typed.
TEST_CASE("hostile completions are judged in linear time", "[reward]") {
  const std::vector<std::pair<std::string, RewardFunction>> functions = [] {
    std::vector<std::pair<std::string, RewardFunction>> all;
    for (const char* scorer : {
             R"({"name": "math"})",
             R"({"name": "countdown"})",
             R"({"name": "countdown", "options": {"require_format": "r1_zero"}})",
             R"({"name": "format"})",
             R"({"name": "format", "options": {"template": "think", "newlines": "strict"}})",
             R"({"name": "language"})",
             R"({"name": "language", "options": {"language": "zh", "part": "all"}})",
             R"({"name": "length", "options": {"max": 100, "unit": "characters"}})",
             R"({"name": "repetition"})",
         })
      all.emplace_back(scorer, Function("{\"scorers\": [" + std::string(scorer) + "]}"));
    return all;
  }();
  const char* prompt = R"({"answer": "9", "metadata": {"numbers": [16, 6, 12], "target": 22}})";
  constexpr size_t kSize = RewardFunction::kMaxCompletionBytes;
  std::vector<std::string> hostile;
  for (const char* piece : {"<",           "<think>",
                            "</think>",    "<answer>",
                            "</answer>",   "<answer></answer>",
                            "<a",          "{",
                            "}",           "{}",
                            "\\boxed{",    "\\boxed{}",
                            "\\boxed {",   "boxed{{",
                            "\\boxed ",    "\\frac",
                            "\\frac{",     "####",
                            "#### \n",     "a:\n",
                            "answer is ",  "final answer: $",
                            "answer: \\(", "*",
                            "\n",          " ",
                            "(",           "1+",
                            "\\",          "$",
                            "\xff",        "\xe2\x88",
                            "9^{9^{",      "9",
                            ",000",        "1 ",
                            "\\text{",     "^\xc2\xb0",
                            "```",         "`a",
                            "$a",          "\\(a",
                            "\\begin{a}",  "http://",
                            "a@",          "<a ",
                            "<|",          "</s>",
                            "word ",       "the la und y ",
                            "\u4e2d",      "\u3042\u4e2d",
                            "\u0301",      "\u0430 \u0628"}) {
    const std::string body = Repeat(piece, kSize - 200);
    hostile.push_back(body);
    hostile.push_back("<think></think><answer>" + body + "</answer>");
    hostile.push_back("\\boxed{" + body);
    hostile.push_back("\\boxed{" + body + "}");
    hostile.push_back("\\boxed{" + Repeat(piece, 4000) + "}");
    hostile.push_back("<think></think><answer>" + Repeat(piece, 4000) + "</answer>");
    hostile.push_back("<think>" + body + "</think><answer>16+12-6</answer>");
  }
  hostile.push_back(std::string(1000, '\0'));
  hostile.push_back(std::string("<think>\0</think><answer>16+12-6\0</answer>", 42));
  double slowest = 0;
  std::string slowest_text;
  for (const std::string& text : hostile) {
    const v1::ScoreItem item = Item(text, prompt);
    for (const auto& [name, function] : functions) {
      const double start = ThreadSeconds();
      const v1::Verdict verdict = function.Score(item);
      const double seconds = ThreadSeconds() - start;
      INFO(text.substr(0, 60) << " " << name);
      CHECK(verdict.parts(0).outcome() != v1::OUTCOME_UNSPECIFIED);
      CHECK_FALSE(verdict.parts(0).reason().empty());
      for (char c : verdict.parts(0).reason()) CHECK(static_cast<unsigned char>(c) < 0x80);
      if (seconds > slowest) {
        slowest = seconds;
        slowest_text = name + " " + text.substr(0, 60);
      }
    }
  }
  // The aim is 50 ms in a release build; this bound is for debug builds with sanitizers.
  INFO(slowest_text);
  WARN("slowest scorer on a hostile completion: " << slowest * 1e3 << " ms, " << slowest_text);
  CHECK(slowest < 1);
}

TEST_CASE("NUL and invalid UTF-8 neither hide nor make an answer", "[reward]") {
  const RewardFunction f = Function(R"({"scorers": [{"name": "countdown"}, {"name": "math"}]})");
  const char* prompt = R"({"answer": "22", "metadata": {"numbers": [16, 6, 12], "target": 22}})";
  const std::string nul("<answer>16+12-6\0</answer>", 25);
  CHECK(Said(f.Score(Item(nul, prompt))) == "SCORED 0");
  const std::string bytes =
      "<answer>2\xff"
      "2</answer>";
  CHECK(Said(f.Score(Item(bytes, prompt)), 1) == "UNPARSED 0");
}

}  // namespace
}  // namespace hone::testing
