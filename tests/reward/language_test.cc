#include <cstdlib>
#include <fstream>

#include "libs/reward/language/prose.h"
#include "nlohmann/json.hpp"
#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

using Catch::Contains;

constexpr char kEnglish[] =
    "First we work out how many apples the farmer has left after the market. He started with "
    "twelve baskets and sold half of them, so six baskets remain and each of them holds nine.";
constexpr char kGerman[] =
    "Zuerst rechnen wir aus, wie viele Äpfel der Bauer nach dem Markt noch hat. Er begann mit "
    "zwölf Körben und verkaufte die Hälfte davon, also bleiben sechs Körbe mit je neun Stück.";
constexpr char kChinese[] =
    "首先我们计算农民在市场之后还剩下多少个苹果。他一开始有十二个篮子，卖掉了一半，所以还剩下六个"
    "篮子，每个篮子里有九个苹果。";
constexpr char kJapanese[] =
    "まず、市場の後に農家に残っているりんごの数を計算します。最初は十二個のかごがあり、その半分を"
    "売ったので、六個のかごが残っています。";
constexpr char kRussian[] =
    "Сначала посчитаем, сколько яблок осталось у фермера после рынка. У него было двенадцать "
    "корзин, и он продал половину из них, поэтому осталось шесть корзин.";

v1::ScorePart Language(const std::string& options, const std::string& completion,
                       const std::string& prompt = "{}") {
  return Function(R"({"scorers": [{"name": "language", "options": )" + options + "}]}")
      .Score(Item(completion, prompt))
      .parts(0);
}

std::vector<std::string> Prose(absl::string_view text) {
  std::vector<std::string> words;
  for (const language::Word& word : language::ProseWords(text)) words.emplace_back(word.text);
  return words;
}

TEST_CASE("each language is told from the others", "[reward]") {
  const std::pair<const char*, const char*> texts[] = {
      {"en", kEnglish}, {"de", kGerman}, {"zh", kChinese}, {"ja", kJapanese}, {"ru", kRussian}};
  for (const auto& [code, unused] : texts)
    for (const auto& [of, text] : texts) {
      INFO("wanted " << code << ", given " << of);
      const v1::ScorePart part = Language(std::string(R"({"language": ")") + code + "\"}", text);
      CHECK(part.outcome() == v1::OUTCOME_SCORED);
      CAPTURE(part.reason());
      if (std::string(code) == of)
        CHECK(part.value() > 0.95);
      else
        CHECK(part.value() < 0.05);
    }
}

TEST_CASE("a mixture has its share", "[reward]") {
  const v1::ScorePart en = Language(R"({"language": "en"})", absl::StrCat(kEnglish, kChinese));
  CHECK(en.value() > 0.3);
  CHECK(en.value() < 0.7);
  CHECK_THAT(en.reason(), Contains("zh"));
  const v1::ScorePart de =
      Language(R"({"language": "de"})", absl::StrCat(kGerman, " ", kGerman, " ", kEnglish));
  CHECK(de.value() > 0.5);
  CHECK(de.value() < 0.8);
  CHECK_THAT(de.reason(), Contains("en"));
}

TEST_CASE("only the thoughts count, or everything if asked", "[reward]") {
  const std::string text = absl::StrCat("<think>", kEnglish, "</think><answer>", kChinese, kChinese,
                                        "</answer><|im_end|>");
  CHECK(Language("{}", text).value() == 1);
  CHECK(Language(R"({"part": "all"})", text).value() < 0.6);
  CHECK(Language(R"({"language": "zh"})", text).value() == 0);
}

TEST_CASE("a text too short to tell abstains, and an abstention moves no score", "[reward]") {
  for (const char* text : {"", "So x = 4.", "<think></think>", "\\boxed{5}", "12 + 7 = 19",
                           "$a$ $b$ $c$ $d$ $e$ $f$ $g$ $h$ $i$ $j$ $k$ $l$"}) {
    INFO(text);
    CHECK(Language("{}", text).outcome() == v1::OUTCOME_ABSTAINED);
  }
  CHECK(
      Language(R"({"min_words": 3})", "the number of apples that remain is now larger").outcome() ==
      v1::OUTCOME_SCORED);
  const RewardFunction f =
      Function(R"({"scorers": [{"name": "math"}, {"name": "language", "weight": 0.25}]})");
  const char* four = R"({"answer": "4"})";
  const v1::Verdict right = f.Score(Item("So \\boxed{4}.", four));
  CHECK(right.outcome() == v1::OUTCOME_SCORED);
  CHECK(right.score() == 1.25);  // as if it agreed with the rest
  const v1::Verdict wrong = f.Score(Item("So \\boxed{5}.", four));
  CHECK(wrong.outcome() == v1::OUTCOME_SCORED);
  CHECK(wrong.score() == 0);
  // As the primary scorer it leaves nothing to go by.
  CHECK(Function(R"({"scorers": [{"name": "language"}]})").Score(Item("x")).outcome() ==
        v1::OUTCOME_ABSTAINED);
}

TEST_CASE("code, formulas, addresses and names are no prose", "[reward]") {
  CHECK(Prose("say ```python\nfor item in things\n``` and `some code` done") ==
        std::vector<std::string>{"say", "and", "done"});
  CHECK(Prose("so $x_1 + text$ and $$big formula$$ or \\(small one\\) or \\[large one\\] end") ==
        std::vector<std::string>{"so", "and", "or", "or", "end"});
  CHECK(Prose("it costs $5 and he has $10 left") ==
        std::vector<std::string>{"it", "costs", "and", "he", "has", "left"});
  CHECK(Prose("a \\begin{align*} hidden words \\end{align*} then \\frac{12}{7} \\textbf{bold}") ==
        std::vector<std::string>{"then", "bold"});
  CHECK(Prose("see https://example.org/a/page or mail someone@example.org now") ==
        std::vector<std::string>{"see", "or", "mail", "now"});
  CHECK(Prose("call solve(x) with myList and max_len and x2 on RSA for ABC in km") ==
        std::vector<std::string>{"call", "with", "and", "and", "on", "for", "in"});
  CHECK(Prose("<think>don't <b>stop</b>") == std::vector<std::string>{"don't", "stop"});
  CHECK(Prose("设 x 等于 3") == std::vector<std::string>{"设", "等于"});
  // A mark that is not closed takes nothing with it.
  CHECK(Prose("one ``` two $three \\( four \\begin{x} five") ==
        std::vector<std::string>{"one", "two", "three", "four", "five"});
  // Bytes that are no UTF-8 separate.
  CHECK(Prose("one\xff\xfetwo") == std::vector<std::string>{"one", "two"});
}

TEST_CASE("hiding another language in code or formulas gains nothing", "[reward]") {
  // It is left out, so it neither counts nor fills the text.
  const std::string hidden = absl::StrCat("```", kChinese, "```");
  CHECK(Language("{}", hidden).outcome() == v1::OUTCOME_ABSTAINED);
  CHECK(Language("{}", absl::StrCat(kEnglish, hidden)).value() == 1);
  // Letters at random are of no language.
  std::string noise;
  for (int i = 0; i < 400; ++i)
    noise += {static_cast<char>('a' + i * i % 23), i % 5 == 4 ? ' ' : 'q'};
  CHECK(Language("{}", noise).value() < 0.5);
}

TEST_CASE("the prompt can say the language", "[reward]") {
  const char* options = R"({"language": "prompt"})";
  CHECK(Language(options, kGerman, R"({"metadata": {"language": "de"}})").value() > 0.95);
  CHECK(Language(options, kGerman, R"({"metadata": {"language": "zh"}})").value() == 0);
  CHECK(Language(options, kGerman).outcome() == v1::OUTCOME_BAD_REFERENCE);
  CHECK(Language(options, kGerman, R"({"metadata": {"language": "klingonese"}})").outcome() ==
        v1::OUTCOME_BAD_REFERENCE);
  CHECK_CODE(RewardFunction::Create(
                 Spec(R"({"scorers": [{"name": "language", "options": {"language": "qq"}}]})")),
             absl::StatusCode::kInvalidArgument);
}

std::vector<std::string> Texts(const char* file, const char* field) {
  const char* folder = std::getenv("HONE_DATA");
  if (folder == nullptr) return {};
  std::ifstream in(std::string(folder) + "/" + file);
  REQUIRE(in.good());
  std::vector<std::string> texts;
  for (std::string line; std::getline(in, line);)
    texts.push_back(nlohmann::json::parse(line)[field].get<std::string>());
  return texts;
}

TEST_CASE("real English and Chinese problems are told apart", "[reward][data]") {
  if (std::getenv("HONE_DATA") == nullptr) {
    WARN("skipped: HONE_DATA is not set");
    return;
  }
  const RewardFunction en = Function(R"({"scorers": [{"name": "language"}]})");
  const RewardFunction zh =
      Function(R"({"scorers": [{"name": "language", "options": {"language": "zh"}}]})");
  const auto measure = [](const RewardFunction& f, const std::vector<std::string>& texts,
                          const char* what) {
    double sum = 0, seconds = -ThreadSeconds();
    int scored = 0, full = 0, abstained = 0;
    size_t bytes = 0;
    for (const std::string& text : texts) {
      const v1::Verdict verdict = f.Score(Item(text));
      bytes += text.size();
      if (verdict.outcome() == v1::OUTCOME_ABSTAINED) {
        ++abstained;
        continue;
      }
      ++scored;
      sum += verdict.score();
      full += verdict.score() >= 0.95;
    }
    seconds += ThreadSeconds();
    WARN(what << ": mean " << sum / scored << ", " << full << " of " << scored
              << " have 0.95 and more, " << abstained << " abstained, "
              << static_cast<double>(bytes) / seconds / 1e6 << " MB/s");
    return sum / scored;
  };
  const auto gsm8k = Texts("gsm8k/test.jsonl", "answer");
  const auto questions = Texts("gsm8k/test.jsonl", "question");
  const auto cmath = Texts("math/cmath.jsonl", "question");
  CHECK(measure(en, gsm8k, "en of gsm8k solutions") > 0.97);
  CHECK(measure(en, questions, "en of gsm8k questions") > 0.97);
  CHECK(measure(zh, cmath, "zh of cmath questions") > 0.99);
  CHECK(measure(zh, gsm8k, "zh of gsm8k solutions") < 0.005);
  CHECK(measure(en, cmath, "en of cmath questions") < 0.005);
  const auto labelled = Texts("checker/labelled_completions.jsonl", "response");
  CHECK(measure(en, labelled, "en of labelled completions") > 0.95);
}

}  // namespace
}  // namespace hone::testing
