// Scorers that look at a text's shape only: length and repetition.

#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

v1::ScorePart Part(const std::string& scorer, const v1::ScoreItem& item) {
  return Function("{\"scorers\": [" + scorer + "]}").Score(item).parts(0);
}

std::string Refusal(const std::string& scorer) {
  const auto f = RewardFunction::Create(Spec("{\"scorers\": [" + scorer + "]}"));
  CHECK_CODE(f, absl::StatusCode::kInvalidArgument);
  return std::string(f.status().message());
}

v1::ScoreItem Tokens(int tokens) {
  v1::ScoreItem item = Item("x");
  item.set_completion_tokens(tokens);
  return item;
}

TEST_CASE("a maximum with a buffer is DAPO's overlong shaping plus one", "[reward]") {
  // L_max = 20480, L_cache = 4096: 0 up to 16384, falling to -1 at 20480.
  const std::string dapo = R"({"name": "length", "options": {"max": 20480, "buffer": 4096}})";
  CHECK(Part(dapo, Tokens(1)).value() == 1);
  CHECK(Part(dapo, Tokens(16384)).value() == 1);
  CHECK(Part(dapo, Tokens(16385)).value() == Approx(1 - 1.0 / 4096));
  CHECK(Part(dapo, Tokens(18432)).value() == 0.5);
  CHECK(Part(dapo, Tokens(20479)).value() == Approx(1.0 / 4096));
  CHECK(Part(dapo, Tokens(20480)).value() == 0);
  CHECK(Part(dapo, Tokens(30000)).value() == 0);
  const std::string step = R"({"name": "length", "options": {"max": 100}})";
  CHECK(Part(step, Tokens(100)).value() == 1);
  CHECK(Part(step, Tokens(101)).value() == 0);
}

TEST_CASE("a target has a slope on both sides", "[reward]") {
  const std::string target = R"({"name": "length", "options": {"target": 100, "tolerance": 50}})";
  CHECK(Part(target, Tokens(100)).value() == 1);
  CHECK(Part(target, Tokens(75)).value() == 0.5);
  CHECK(Part(target, Tokens(125)).value() == 0.5);
  CHECK(Part(target, Tokens(50)).value() == 0);
  CHECK(Part(target, Tokens(1000)).value() == 0);
  CHECK(Part(R"({"name": "length", "options": {"target": 100}})", Tokens(50)).value() == 0.5);
}

TEST_CASE("lengths are tokens that the item tells, characters or words", "[reward]") {
  const auto value = [](const char* unit, int64_t max, const std::string& text) {
    return Part(absl::StrCat(R"({"name": "length", "options": {"unit": ")", unit, R"(", "max": )",
                             max, "}}"),
                Item(text))
        .value();
  };
  CHECK(value("characters", 4, "1\u00e9\u4e2d2") == 1);
  CHECK(value("characters", 3, "1\u00e9\u4e2d2") == 0);
  CHECK(value("words", 3, "  one two\nthree ") == 1);
  CHECK(value("words", 2, "  one two\nthree ") == 0);
  CHECK(value("words", 2, "") == 1);
  const v1::ScorePart untold = Part(R"({"name": "length", "options": {"max": 4}})", Item("x"));
  CHECK(untold.outcome() == v1::OUTCOME_BAD_REFERENCE);
  CHECK_THAT(untold.reason(), Catch::Contains("completion_tokens"));
}

TEST_CASE("length's options must go together", "[reward]") {
  using Catch::Contains;
  CHECK_THAT(Refusal(R"({"name": "length"})"), Contains("exactly one"));
  CHECK_THAT(Refusal(R"({"name": "length", "options": {"max": 5, "target": 5}})"),
             Contains("exactly one"));
  CHECK_THAT(Refusal(R"({"name": "length", "options": {"max": 5, "buffer": 6}})"),
             Contains("at most max = 5"));
  CHECK_THAT(Refusal(R"({"name": "length", "options": {"target": 5, "buffer": 6}})"),
             Contains("buffer"));
  CHECK_THAT(Refusal(R"({"name": "length", "options": {"max": 5.5}})"), Contains("an integer"));
  CHECK_THAT(Refusal(R"({"name": "length", "options": {"max": -1}})"), Contains("0 to"));
  CHECK_THAT(Refusal(R"({"name": "length", "options": {"max": "5"}})"), Contains("an integer"));
}

constexpr char kRepetition[] = R"({"name": "repetition"})";

TEST_CASE("a text that repeats itself loses value", "[reward]") {
  const std::string once =
      "Natalia sold clips to forty eight of her friends in April, and then she sold half as many "
      "clips in May. How many clips did Natalia sell altogether in April and May?";
  CHECK(Part(kRepetition, Item(once)).value() == 1);
  std::string many;
  for (int i = 0; i < 20; ++i) many += once + " ";
  CHECK(Part(kRepetition, Item(many)).value() < 0.1);
  CHECK(Part(kRepetition, Item(once + " " + once)).value() < 0.7);
  CHECK(Part(kRepetition, Item("")).value() == 1);
  CHECK(Part(kRepetition, Item("wait wait wait")).value() == 1);  // too short to say
  std::string wait;
  for (int i = 0; i < 100; ++i) wait += "wait, ";
  CHECK(Part(kRepetition, Item(wait)).value() < 0.05);
  // Case and white space do not make it new.
  CHECK(Part(kRepetition, Item("A b c d e f g h i j k l.\na B  c d e f g h I j k l.")).value() < 1);
}

TEST_CASE("loops without spaces are found too", "[reward]") {
  std::string chinese, letters, line;
  for (int i = 0; i < 100; ++i) {
    chinese += "\u6240\u4ee5\u7b54\u6848\u662f";
    letters += "abc";
    line += "-";
  }
  CHECK(Part(kRepetition, Item(chinese)).value() < 0.1);
  CHECK(Part(kRepetition, Item(line)).value() < 0.1);
  CHECK(
      Part(R"({"name": "repetition", "options": {"ngram": 3}})", Item(letters + letters + letters))
          .value() < 0.5);
}

TEST_CASE("what is allowed to repeat costs nothing", "[reward]") {
  // Of 10 words 9 bigrams; "a b" occurs three times: 2 of 9 repeat.
  const v1::ScoreItem item = Item("a b c a b d a b e f");
  const auto value = [&](double allowed) {
    return Part(absl::StrCat(R"({"name": "repetition", "options": {"ngram": 2, "allowed": )",
                             allowed, "}}"),
                item)
        .value();
  };
  CHECK(value(0) == Approx(1 - 2.0 / 9));
  CHECK(value(0.2) == Approx(1 - (2.0 / 9 - 0.2) / 0.8));
  CHECK(value(0.25) == 1);
}

}  // namespace
}  // namespace hone::testing
