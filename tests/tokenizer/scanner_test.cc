// The hand-written scanners against the engine, on random texts of the characters that matter.

#include "libs/tokenizer/scanner.h"

#include <random>
#include <string>
#include <vector>

#include "libs/tokenizer/unicode.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

std::vector<std::string> Pool() {
  std::vector<std::string> pool;
  for (const char* s :
       {"a",      "b",      "Z",      "0",      "7",      " ",          " ",         "  ",
        "\t",     "\n",     "\r",     "\r\n",   "\x0b",   "'",          "'s",        "'S",
        "'t",     "'re",    "'VE",    "'ll",    "'Ll",    "'m",         "'d",        "'\u017f",
        ".",      ",",      "!",      "?",      "$",      "+",          "<",         "=",
        "^",      "`",      "|",      "~",      "_",      "-",          "\\",        "]",
        "[",      "\"",     "#",      "\u0085", "\u00a0", "\u180e",     "\u2003",    "\u2028",
        "\u3000", "\u200b", "\u200d", "\ufeff", "é",      "e\u0301",    "ß",         "\u00b5",
        "ǅ",      "ª",      "²",      "½",      "٣",      "Ⅷ",          "漢",        "字",
        "龥",     "あ",     "ー",     "한",     "。",     "，",         "😀",         "€",
        "\u0300", "\u0903", "\u20dd", "\x01",   "\x1c",   "\U0001d400", "\U00020000"})
    pool.push_back(s);
  return pool;
}

std::string RandomText(std::mt19937_64& random, const std::vector<std::string>& pool) {
  std::string text;
  const size_t n = 1 + random() % 24;
  for (size_t i = 0; i < n; ++i) {
    if (random() % 8 != 0) {
      text += pool[random() % pool.size()];
      continue;
    }
    const auto c = static_cast<char32_t>(random() % 0x110000);
    AppendUtf8(c >= 0xD800 && c <= 0xDFFF ? U'x' : c, &text);
  }
  return text;
}

TEST_CASE("scanners find what the engine finds", "[tokenizer]") {
  const std::vector<std::string> expressions = {kGpt2Expression,
                                                kLlama3Expression,
                                                kQwen2Expression,
                                                kDeepSeek3Expression,
                                                "\\p{N}{1,3}",
                                                "\\s?\\p{L}+",
                                                "\\s?\\p{P}+",
                                                "[\r\n]",
                                                "[\\r\\n]",
                                                "[一-龥ࠀ-一가-퟿]+",
                                                "[一-龥\u3040-ゟ゠-ヿ]+",
                                                "\\s?[A-Za-zµÀ-ÖØ-ö]+",
                                                "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+"};
  const std::vector<std::string> pool = Pool();
  for (const std::string& expression : expressions) {
    const auto scanner = MakeScanner(expression);
    REQUIRE(scanner != nullptr);
    const auto engine = Pattern::Engine(expression);
    REQUIRE_OK(engine);
    std::mt19937_64 random(7);
    for (int i = 0; i < 4000; ++i) {
      const std::string text = RandomText(random, pool);
      std::vector<Match> got, want;
      REQUIRE_OK(scanner->FindAll(text, &got));
      REQUIRE_OK((*engine)->FindAll(text, &want));
      INFO(expression << " on \"" << text << "\"");
      REQUIRE(got.size() == want.size());
      for (size_t k = 0; k < got.size(); ++k) {
        REQUIRE(got[k].begin == want[k].begin);
        REQUIRE(got[k].end == want[k].end);
      }
    }
  }
}

TEST_CASE("other expressions are left to the engine", "[tokenizer]") {
  for (const char* expression : {"", "a", "[a", "[^a]+", "[a-]", "[b-a]", "[\\d]", "\\s?[a]{2}",
                                 "\\p{L}*", "[a&&b]", "\\s+"})
    CHECK(MakeScanner(expression) == nullptr);
}

}  // namespace
}  // namespace hone
