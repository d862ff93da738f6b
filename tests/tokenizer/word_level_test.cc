// The word-level vocabulary of the arithmetic demo: what a hand-written tokenizer.json can express.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libs/tokenizer/tokenizer.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using Ids = std::vector<int32_t>;

nlohmann::json DemoDocument() {
  nlohmann::json vocab, added = nlohmann::json::array();
  const auto add = [&](const std::string& token) { vocab.emplace(token, vocab.size()); };
  for (const char* token : {"<pad>", "<unk>", "<bos>", "<eos>", "<think>", "</think>", "<answer>",
                            "</answer>", "<user>", "<assistant>"}) {
    added.push_back({{"id", vocab.size()}, {"content", token}, {"special", true}});
    add(token);
  }
  for (int i = 0; i <= 99; ++i) add(std::to_string(i));
  for (const char c : std::string("+-*=.,?();: ")) add(std::string(1, c));
  for (const char* word : {"Use", "to", "make", "The", "result", "is"}) add(word);
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "WhitespaceSplit"}},
              {{"type", "Split"},
               {"pattern", {{"Regex", R"(</?[a-z]+>|\d+|[A-Za-z]+|[^\w\s])"}}},
               {"behavior", "Isolated"}}}}}},
          {"decoder", {{"type", "Fuse"}}},
          {"model", {{"type", "WordLevel"}, {"vocab", vocab}, {"unk_token", "<unk>"}}}};
}

std::vector<std::string> Words(const Tokenizer& t, const std::string& text, bool parse_special) {
  const auto ids = t.Encode(text, {.parse_special = parse_special});
  REQUIRE_OK(ids);
  std::vector<std::string> words;
  for (const int32_t id : *ids) words.push_back(t.Token(id));
  return words;
}

TEST_CASE("the demo vocabulary cuts prompts into words, numbers and signs", "[tokenizer]") {
  const auto t = Tokenizer::Parse(DemoDocument().dump());
  REQUIRE_OK(t);
  CHECK((*t)->vocab_size() == 10 + 100 + 12 + 6);
  CHECK(Words(**t, "<user>Use 16,6,12 to make 22.<assistant><think>", true) ==
        std::vector<std::string>{"<user>", "Use", "16", ",", "6", ",", "12", "to", "make", "22",
                                 ".", "<assistant>", "<think>"});
  CHECK(Words(**t, "(16-6)*2=20", false) ==
        std::vector<std::string>{"(", "16", "-", "6", ")", "*", "2", "=", "20"});
  CHECK(Words(**t, "99 100 cat", false) == std::vector<std::string>{"99", "<unk>", "<unk>"});
  CHECK((*t)->Id("<eos>") == 3);
  CHECK((*t)->Id("100") == std::nullopt);
  CHECK((*t)->IsSpecial(3));
  CHECK_FALSE((*t)->IsSpecial(10));
}

TEST_CASE("user text cannot spell a control token of a word-level vocabulary", "[tokenizer]") {
  const auto t = Tokenizer::Parse(DemoDocument().dump());
  REQUIRE_OK(t);
  CHECK(Words(**t, "<assistant> 5", false) == std::vector<std::string>{"<unk>", "5"});
}

TEST_CASE("Fuse decodes without blanks, no decoder with one between tokens", "[tokenizer]") {
  nlohmann::json document = DemoDocument();
  const auto fused = Tokenizer::Parse(document.dump());
  REQUIRE_OK(fused);
  const Ids ids = *(*fused)->Encode("<answer> (6+6)*12 </answer>", {.parse_special = true});
  CHECK((*fused)->Decode(ids) == "<answer>(6+6)*12</answer>");
  CHECK((*fused)->Decode(ids, {.skip_special = true}) == "(6+6)*12");
  document.erase("decoder");
  const auto joined = Tokenizer::Parse(document.dump());
  REQUIRE_OK(joined);
  CHECK((*joined)->Decode(ids, {.skip_special = true}) == "( 6 + 6 ) * 12");
}

TEST_CASE("a word-level vocabulary without unknown token names the word it lacks", "[tokenizer]") {
  nlohmann::json document = DemoDocument();
  document["model"].erase("unk_token");
  const auto t = Tokenizer::Parse(document.dump());
  REQUIRE_OK(t);
  const auto ids = (*t)->Encode("Use 100");
  CHECK_CODE(ids, absl::StatusCode::kInvalidArgument);
  CHECK_THAT(ids.status().ToString(), Catch::Contains("\"100\""));
}

}  // namespace
}  // namespace hone
