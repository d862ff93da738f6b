// Files and texts that somebody made to break the reader: each is refused with a message, or costs
// little.

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libs/tokenizer/tokenizer.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using nlohmann::json;

// A sound document that every case below breaks in one place.
json Sound() {
  return json::parse(R"({
    "added_tokens": [{"id": 3, "content": "<s>", "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated"},
    "post_processor": {"type": "TemplateProcessing",
                       "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
                       "special_tokens": {"<s>": {"ids": [3]}}},
    "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})");
}

struct Break {
  const char* path;     // JSON pointer of what is replaced
  const char* value;    // its new value
  const char* message;  // what the error must say
};

TEST_CASE("a broken document is refused with the place and the value", "[tokenizer]") {
  REQUIRE_OK(Tokenizer::Parse(Sound().dump()));
  const std::vector<Break> breaks = {
      {"/model", "null", "model: expected an object"},
      {"/model/type", "\"Unigram\"", "model.type: \"Unigram\" is not supported"},
      {"/model/type", "\"WordPiece\"", "\"WordPiece\" is not supported"},
      {"/model/type", "7", "model.type: number, expected a string"},
      {"/model/vocab", "{}", "model.vocab: expected an object"},
      {"/model/vocab", "[\"a\"]", "model.vocab: expected an object"},
      {"/model/vocab/a", "-1", "model.vocab[\"a\"]: -1, expected 0..4194303"},
      {"/model/vocab/a", "1e3", "expected an integer"},
      {"/model/vocab/a", "18446744073709551615", "18446744073709551615, expected 0..4194303"},
      {"/model/vocab/a", "4194304", "4194304, expected 0..4194303"},
      {"/model/vocab/a", "1", "id 1 belongs to both"},
      {"/model/merges", "{}", "model.merges: expected a list"},
      {"/model/merges/0", "\"a b c\"", "model.merges[0]: \"a b c\", expected two tokens"},
      {"/model/merges/0", "\"ab\"", "model.merges[0]"},
      {"/model/merges/0", "[\"a\"]", "model.merges[0]: expected"},
      {"/model/merges/0", "[\"a\", 1]", "model.merges[0]: expected"},
      {"/model/merges/0", "[\"a\", \"x\"]", "model.merges[0]: \"x\" is not in the vocabulary"},
      {"/model/merges/0", "[\"b\", \"a\"]", "model.merges[0]: \"ba\" is not in the vocabulary"},
      {"/model/unk_token", "\"<u>\"", "model.unk_token: \"<u>\" is not in the vocabulary"},
      {"/model/dropout", "0.1", "model.dropout"},
      {"/model/byte_fallback", "1", "model.byte_fallback: number, expected true or false"},
      {"/model/continuing_subword_prefix", "\"##\"", "does not start with ##"},
      {"/added_tokens", "{}", "added_tokens: object, expected a list"},
      {"/added_tokens/0", "3", "added_tokens[0].id: absent"},
      {"/added_tokens/0/id", "\"3\"", "added_tokens[0].id: string, expected an integer"},
      {"/added_tokens/0/id", "2", "id 2 belongs to both \"ab\" and \"<s>\""},
      {"/added_tokens/0/content", "\"a\"", "\"a\" has id 3 here and 0 elsewhere"},
      {"/added_tokens/0/content", "\"\"", "added_tokens[0]: empty content"},
      {"/normalizer", "{\"type\": \"Precompiled\"}", "normalizer Precompiled is not supported"},
      {"/normalizer", "{}", "normalizer.type: absent, expected a string"},
      {"/normalizer", R"({"type": "Replace", "pattern": {"String": ""}, "content": ""})",
       "normalizer.pattern.String: empty"},
      {"/pre_tokenizer/type", "\"Bert\"", "pre-tokenizer Bert is not supported"},
      {"/pre_tokenizer/behavior", "\"Sideways\"", "pre_tokenizer.behavior: \"Sideways\""},
      {"/pre_tokenizer/pattern/Regex", "\"(a\"",
       "pre_tokenizer.pattern.Regex: regular expression (a"},
      {"/pre_tokenizer/pattern", "{}", "pre_tokenizer.pattern: expected"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "xy"})", "expected one character"},
      {"/pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [{"type": "Magic"}]})",
       "pre_tokenizer.pretokenizers[0]: pre-tokenizer Magic"},
      {"/post_processor/single", "[]", "post_processor.single: the text occurs 0 times"},
      {"/post_processor/special_tokens", "{}", "\"<s>\" is not in special_tokens"},
      {"/post_processor/special_tokens/<s>/ids/0", "4", "4, expected 0..3"},
      {"/post_processor/type", "\"BertProcessing\"", "BertProcessing is not supported"},
      {"/decoder/type", "\"WordPiece\"", "decoder WordPiece is not supported"},
      {"/decoder", R"({"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteLevel"}]})",
       "decoder.decoders[1]: ByteLevel behind a step that has fused"},
      {"/decoder", R"({"type": "Replace", "pattern": {"Regex": "a"}, "content": ""})",
       "decoder.pattern: a decoder replaces literals only"},
      {"/decoder", R"({"type": "Strip", "content": " ", "start": -1, "stop": 0})",
       "decoder.start: -1, expected 0.."},
  };
  for (const Break& b : breaks) {
    json document = Sound();
    document[json::json_pointer(b.path)] = json::parse(b.value);
    INFO(b.path << " = " << b.value);
    const auto t = Tokenizer::Parse(document.dump());
    CHECK_CODE(t, absl::StatusCode::kInvalidArgument);
    CHECK_THAT(t.status().ToString(), Catch::Contains(b.message));
  }
}

TEST_CASE("what is no document at all is refused", "[tokenizer]") {
  const std::string deep_list(100'000, '[');
  std::string deep_object;
  for (int i = 0; i < 1000; ++i) deep_object += "{\"normalizer\":";
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("null"), std::string("[]"), std::string("{}"),
        std::string("\xFF\xFE{}"), std::string("{\"model\": \"\xC3\"}"),
        std::string(R"({"model": {"vocab": {"\ud800": 0}}})"), deep_list, deep_object,
        std::string((64 << 20) + 1, ' ')}) {
    INFO(text.substr(0, 40));
    CHECK_CODE(Tokenizer::Parse(text), absl::StatusCode::kInvalidArgument);
  }
  CHECK_THAT(Tokenizer::Parse(deep_list).status().ToString(),
             Catch::Contains("nested deeper than 64 levels at byte 64"));
  CHECK_CODE(Tokenizer::Load("/nowhere/tokenizer.json"), absl::StatusCode::kNotFound);
  const testing::TempDir folder;
  CHECK_FALSE(Tokenizer::Load(folder.path()).ok());
}

TEST_CASE("every truncation of a document is refused", "[tokenizer]") {
  const std::string whole = Sound().dump();
  for (size_t n = 0; n < whole.size(); ++n)
    CHECK_CODE(Tokenizer::Parse(whole.substr(0, n)), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("text that is not UTF-8 is refused with the byte", "[tokenizer]") {
  const auto t = Tokenizer::Parse(Sound().dump());
  REQUIRE_OK(t);
  for (const char* tail : {"\xC3", "\xFF", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                           "\xE2\x96", "\xC3\x28", "\x80", "\xF0\x80\x80\x80"}) {
    const auto ids = (*t)->Encode(std::string("ab\xC3\xBC") + tail);
    CHECK_CODE(ids, absl::StatusCode::kInvalidArgument);
    CHECK_THAT(ids.status().ToString(), Catch::Contains("byte 4 is 0x"));
  }
  CHECK_OK((*t)->Encode(absl::string_view("a\0b", 3)));
}

TEST_CASE("special tokens are found in rendered text only outside of foreign ranges",
          "[tokenizer]") {
  const auto t = Tokenizer::Parse(R"({
    "added_tokens": [{"id": 9, "content": "<e>", "special": true, "normalized": true, "rstrip": true},
                     {"id": 10, "content": "<k>", "special": false}],
    "normalizer": {"type": "Replace", "pattern": {"String": "b"}, "content": "a"},
    "model": {"type": "BPE", "merges": ["a a"],
              "vocab": {"a": 0, "aa": 1, "<": 2, "e": 3, ">": 4, " ": 5, "k": 6}}})");
  REQUIRE_OK(t);
  using Ids = std::vector<int32_t>;
  const std::string text = "<e> ab<e>a<e>";
  CHECK(*(*t)->EncodeRendered(text, {}) == Ids{9, 1, 9, 0, 9});
  // As a whole: a word may join both sides.
  CHECK(*(*t)->EncodeRendered(text, {{5, 6}}) == Ids{9, 1, 9, 0, 9});
  CHECK(*(*t)->EncodeRendered(text, {{5, 9}}) == Ids{9, 1, 2, 3, 4, 0, 9});
  CHECK(*(*t)->EncodeRendered(text, {{8, 9}}) == Ids{9, 1, 2, 3, 4, 0, 9});  // its last byte
  CHECK(*(*t)->EncodeRendered(text, {{0, 13}}) == *(*t)->Encode(text));
  CHECK(*(*t)->EncodeRendered("<<e>", {{0, 1}}) == Ids{2, 9});
  CHECK(*(*t)->EncodeRendered("<e<e>", {{0, 2}}) == Ids{2, 3, 9});
  CHECK(*(*t)->EncodeRendered("a<k>", {{0, 4}}) == Ids{0, 10});
  CHECK_CODE((*t)->EncodeRendered("\xC3", {}), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("an expression that backtracks without end gives an error, not a hang", "[tokenizer]") {
  json document = Sound();
  document["pre_tokenizer"]["pattern"]["Regex"] = "(?:a|aa)+c$";
  const auto t = Tokenizer::Parse(document.dump());
  REQUIRE_OK(t);
  CHECK_CODE((*t)->Encode(std::string(3000, 'a') + "cb"), absl::StatusCode::kResourceExhausted);
}

TEST_CASE("long runs cost little more than their length", "[tokenizer]") {
  json document = Sound();
  document["pre_tokenizer"]["pattern"]["Regex"] = "\\s+$";
  json& model = document["model"];
  model["merges"] = json::array();
  model["vocab"] = {{"a", 0}, {" ", 1}};
  std::string run = "a";
  for (int i = 0; i < 16; ++i) {  // a, aa, aaaa, ...
    model["merges"].push_back({run, run});
    run += run;
    model["vocab"][run] = 4 + i;
  }
  const auto t = Tokenizer::Parse(document.dump());
  REQUIRE_OK(t);
  const auto start = std::chrono::steady_clock::now();
  const size_t n = 300'000;
  const auto word = (*t)->Encode(std::string(n, 'a'));
  REQUIRE_OK(word);
  CHECK(word->size() < 40);
  const auto blanks = (*t)->Encode(std::string(n, ' ') + "a");
  REQUIRE_OK(blanks);
  CHECK(blanks->size() == n + 1);
  // Quadratic work would be 10^11 steps.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

}  // namespace
}  // namespace hone
