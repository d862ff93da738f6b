// Ids to text: whole, stepwise, broken, and where this differs from the reference on purpose.

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "libs/tokenizer/tokenizer.h"
#include "libs/tokenizer/unicode.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

// Bytes as tokens 0..255, some merges, two special tokens and an added letter. As in DeepSeek's
// files that letter is the one that would stand for byte 0xFC, which no text contains, so no token
// does.
std::unique_ptr<Tokenizer> ByteLevelTokenizer() {
  json vocab;
  for (int b = 0; b < 256; ++b)
    if (b != 0xFC) vocab[ByteLevelAlphabet()[b]] = b;
  vocab["he"] = 256;
  vocab["ll"] = 257;
  vocab["hell"] = 258;
  vocab["<|"] = 259;
  vocab["|>"] = 260;
  vocab["<||>"] = 261;
  const json document = {
      {"added_tokens",
       {{{"id", 262}, {"content", "<s>"}, {"special", true}},
        {{"id", 263}, {"content", "\u00FC"}, {"special", false}},
        {{"id", 261}, {"content", "<||>"}, {"special", true}}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"vocab", vocab}, {"merges", {"h e", "l l", "he ll", "< |", "| >", "<| |>"}}}}};
  auto t = Tokenizer::Parse(document.dump());
  REQUIRE_OK(t);
  return *std::move(t);
}

std::unique_ptr<Tokenizer> ChainTokenizer(const json& decoder) {
  json vocab = {{"\u2581a", 256}, {"b", 257}, {" ", 258}, {"x", 259}, {"xy", 260}, {"\u2581", 261}};
  for (int b = 0; b < 256; ++b) {
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", b);
    vocab[name] = b;
  }
  const json document = {{"added_tokens", {{{"id", 262}, {"content", "\u2581<t>"}}}},
                         {"decoder", decoder},
                         {"model", {{"vocab", vocab}, {"merges", json::array()}}}};
  auto t = Tokenizer::Parse(document.dump());
  REQUIRE_OK(t);
  return *std::move(t);
}

std::vector<std::string> Parts(const Tokenizer& t, const Ids& ids) {
  IncrementalDecoder decoder(t);
  std::vector<std::string> parts;
  for (const int32_t id : ids) parts.push_back(decoder.Append(id));
  parts.push_back(decoder.Finish());
  return parts;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

TEST_CASE("a character comes out with its last byte and not before", "[tokenizer]") {
  const auto t = ByteLevelTokenizer();
  CHECK(Parts(*t, {0x68, 0xF0, 0x9F, 0xA6, 0x99, 0x21}) ==
        std::vector<std::string>{"h", "", "", "", "\U0001F999", "!", ""});
}

TEST_CASE("ill-formed bytes become one replacement per maximal subpart", "[tokenizer]") {
  const auto t = ByteLevelTokenizer();
  const std::string r = "\uFFFD";
  struct Case {
    Ids bytes;
    std::string text;
  };
  // The table of the Unicode standard, section 3.9, and truncated sequences.
  for (const Case& c : std::vector<Case>{
           {{0xC0, 0xAF, 0xE0, 0x80, 0xBF, 0xF0, 0x81, 0x82, 0x41},
            r + r + r + r + r + r + r + r + "A"},
           {{0xED, 0xA0, 0x80, 0xED, 0xBF, 0xBF, 0xED, 0xAF, 0x41},
            r + r + r + r + r + r + r + r + "A"},
           {{0xF4, 0x91, 0x92, 0x93, 0xFF, 0x41, 0x80, 0xBF, 0x42},
            r + r + r + r + r + "A" + r + r + "B"},
           {{0xE1, 0x80, 0xE2, 0xF0, 0x91, 0x92, 0xF1, 0xBF, 0x41}, r + r + r + r + "A"},
           {{0x68, 0xE2, 0x96}, "h" + r},
           {{0xE2, 0x96, 262, 0x81}, r + "<s>" + r},
           {{0xEF, 0xBF, 0xBD, 0x21}, r + "!"}}) {
    CHECK(t->Decode(c.bytes) == c.text);
    CHECK(Joined(Parts(*t, c.bytes)) == c.text);
  }
}

TEST_CASE("an added token decodes to its own text, not through the byte alphabet", "[tokenizer]") {
  const auto t = ByteLevelTokenizer();
  const std::string text = "F\u00FChrer";
  const auto ids = t->Encode(text);
  REQUIRE_OK(ids);
  CHECK((*ids)[1] == 263);
  CHECK(t->Decode(*ids) == text);
  CHECK(Joined(Parts(*t, *ids)) == text);
}

TEST_CASE("no text of a user spells a special token, not even through merges", "[tokenizer]") {
  const auto t = ByteLevelTokenizer();
  CHECK(*t->Encode("<||>", {.parse_special = true}) == Ids{261});
  const Ids spelt{'<', '|', '|', '>'};
  for (int round = 0; round < 2; ++round) {  // the second time from the cache, if it were there
    CHECK(*t->Encode("<||>") == spelt);
    CHECK(t->Decode(*t->Encode("a<||>hell<s>")) == "a<||>hell<s>");
  }
  const Ids ids = *t->Encode("x<||><s><||><s>");
  for (const int32_t id : ids) CHECK_FALSE(t->IsSpecial(id));
}

TEST_CASE("skip_special drops special tokens only", "[tokenizer]") {
  const auto t = ByteLevelTokenizer();
  const Ids ids{262, 258, 263, 262};
  CHECK(t->Decode(ids) == "<s>hell\u00FC<s>");
  CHECK(t->Decode(ids, {.skip_special = true}) == "hell\u00FC");
}

TEST_CASE("ids without a token give no text", "[tokenizer]") {
  const auto t = ByteLevelTokenizer();
  CHECK(t->vocab_size() == 264);
  CHECK(t->Decode({-1, 'a', 0xFC, 264, 1 << 30, 'b', INT32_MIN}) == "ab");
  CHECK(t->Token(-1).empty());
  CHECK(t->Token(264).empty());
  CHECK_FALSE(t->IsSpecial(264));
  CHECK(t->Decode({}).empty());
}

TEST_CASE("fallback bytes of one character come out together", "[tokenizer]") {
  const auto t = ChainTokenizer(
      {{"type", "Sequence"},
       {"decoders",
        {{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
         {{"type", "ByteFallback"}},
         {{"type", "Fuse"}},
         {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}});
  CHECK(Parts(*t, {256, 0xC3, 0xBC, 257}) == std::vector<std::string>{"a", "", "\u00FC", "b", ""});
  CHECK(t->Decode({256, 0xC3, 257, 0xE2, 0x96}) == "a\uFFFDb\uFFFD");
  CHECK(t->Decode({261, 261, 256}) == "  a");
  CHECK(t->Decode({257, 262}) == "b\u2581<t>");
}

TEST_CASE("steps behind Fuse see the text across tokens", "[tokenizer]") {
  const auto t =
      ChainTokenizer({{"type", "Sequence"},
                      {"decoders",
                       {{{"type", "Fuse"}},
                        {{"type", "Replace"}, {"pattern", {{"String", "xxy"}}}, {"content", "<>"}},
                        {{"type", "Strip"}, {"content", " "}, {"start", 2}, {"stop", 2}}}}});
  // 257 b, 258 blank, 259 x, 260 xy
  CHECK(t->Decode({259, 260}) == "<>");
  CHECK(Parts(*t, {259, 259, 260, 257}) == std::vector<std::string>{"", "", "x<>", "b", ""});
  CHECK(t->Decode({259, 259}) == "xx");
  CHECK(t->Decode({258, 258, 258, 257, 258, 258, 258}) == " b ");
  CHECK(t->Decode({258, 257, 258, 258, 258, 257, 258}) == "b   b");
  CHECK(t->Decode({258, 258}).empty());
}

TEST_CASE("random ids decode the same whole and stepwise, into whole characters", "[tokenizer]") {
  const auto bytes = ByteLevelTokenizer();
  const auto chain = ChainTokenizer(
      {{"type", "Sequence"},
       {"decoders",
        {{{"type", "ByteFallback"}},
         {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}},
         {{"type", "Fuse"}},
         {{"type", "Replace"}, {"pattern", {{"String", "xx"}}}, {"content", " "}},
         {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 2}}}}});
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    const Tokenizer& t = round % 2 == 0 ? *bytes : *chain;
    Ids ids(random() % 24);
    for (int32_t& id : ids)
      id = random() % 3 == 0 ? 0x80 + static_cast<int32_t>(random() % 0x80)
                             : 240 + static_cast<int32_t>(random() % 24);
    const std::vector<std::string> parts = Parts(t, ids);
    CHECK(Joined(parts) == t.Decode(ids));
    for (const std::string& part : parts) CHECK(FirstInvalidUtf8(part) == std::string::npos);
  }
}

TEST_CASE("every text survives a byte-level vocabulary", "[tokenizer]") {
  const auto t = ByteLevelTokenizer();
  std::mt19937 random(5);
  for (int round = 0; round < 1000; ++round) {
    std::string text;
    for (int n = static_cast<int>(random() % 40); n > 0; --n) {
      char32_t c = random() % 2 == 0 ? random() % 0x80 : random() % 0x110000;
      if (c >= 0xD800 && c < 0xE000) c = U'\u00FC';
      AppendUtf8(c, &text);
    }
    const auto ids = t->Encode(text);
    REQUIRE_OK(ids);
    CHECK(t->Decode(*ids) == text);
  }
}

TEST_CASE("threads that share a tokenizer get the same ids", "[tokenizer]") {
  const auto t = ByteLevelTokenizer();
  std::vector<std::string> texts;
  std::vector<Ids> want;
  const auto alone = ByteLevelTokenizer();
  for (int i = 0; i < 50; ++i) {
    texts.push_back("hello " + std::to_string(i) + " hell");
    want.push_back(*alone->Encode(texts.back()));
  }
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int k = 0; k < 4; ++k)
    threads.emplace_back([&, k] {
      for (int round = 0; round < 50; ++round)
        for (size_t i = 0; i < texts.size(); ++i) wrong[k] += *t->Encode(texts[i]) != want[i];
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4));
}

}  // namespace
}  // namespace hone
