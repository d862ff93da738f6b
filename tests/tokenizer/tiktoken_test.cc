#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/tokenizer/tokenizer.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using Ids = std::vector<int32_t>;

// The 256 bytes in order and some tokens behind them.
std::string File(const std::vector<std::string>& tokens) {
  std::string text;
  int rank = 0;
  const auto add = [&](absl::string_view bytes) {
    absl::StrAppend(&text, absl::Base64Escape(bytes), " ", rank++, "\n");
  };
  for (int b = 0; b < 256; ++b) add(std::string(1, static_cast<char>(b)));
  for (const std::string& token : tokens) add(token);
  return text;
}

TEST_CASE("a tiktoken file merges by rank, along any cut", "[tokenizer]") {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/cl100k_base.tiktoken";
  // "abc" was once made of "ab" + "c"; "a" + "bc" makes it as well.
  REQUIRE_OK(WriteFileAtomically(path, File({"bc", "ab", "abc", "abcab", " x"})));
  const auto t = Tokenizer::Load(path);
  REQUIRE_OK(t);
  CHECK((*t)->vocab_size() == 261);
  CHECK(*(*t)->Encode("abc") == Ids{258});
  CHECK(*(*t)->Encode("abcabcd") == Ids{258, 258, 'd'});
  CHECK(*(*t)->Encode("ab x") == Ids{257, 260});
  CHECK(*(*t)->Encode("\xC3\xA9\n") == Ids{0xC3, 0xA9, '\n'});
  CHECK((*t)->Decode({258, 0xC3, 0xA9}) == "abc\xC3\xA9");
}

TEST_CASE("special tokens and the way to cut come from the file beside it", "[tokenizer]") {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/tiktoken.model";
  REQUIRE_OK(WriteFileAtomically(path, File({"漢字", "Hello", "漢字a"})));
  const std::string config = dir.path() + "/tokenizer_config.json";
  CHECK_THAT(Tokenizer::Load(path).status().ToString(), Catch::Contains("how it cuts text"));
  REQUIRE_OK(WriteFileAtomically(config, R"({"tokenizer_class": "TikTokenTokenizer",
      "added_tokens_decoder": {"300": {"content": "[EOS]", "special": true}}})"));
  const auto t = Tokenizer::Load(path);
  REQUIRE_OK(t);
  CHECK(*(*t)->Encode("漢字abHello[EOS]", {.parse_special = true}) ==
        Ids{256, 'a', 'b', 257, 300});  // cut where the case changes
  CHECK(*(*t)->Encode("漢字") == Ids{256});
  CHECK((*t)->vocab_size() == 301);
  CHECK((*t)->IsSpecial(300));
  REQUIRE_OK(WriteFileAtomically(config, R"({"tokenizer_class": "TikTokenTokenizer",
      "added_tokens_decoder": {"x": {}}})"));
  CHECK_THAT(Tokenizer::Load(path).status().ToString(), Catch::Contains("added_tokens_decoder"));
}

TEST_CASE("a broken tiktoken file is refused with its line", "[tokenizer]") {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/qwen.tiktoken";
  const std::string whole = File({});
  const std::vector<std::array<std::string, 2>> cases = {
      {"IQ== 0\n", "1 of the 256 single bytes"},
      {"IQ==\n", ":1: expected base64"},
      {whole + "!!! 256\n", ":257: expected base64"},
      {whole + "aGk= -1\n", ":257: expected base64"},
      {whole + "aGk= 99999999\n", ":257: expected base64"},
      {whole + "IQ== 256\n", ":257: this token occurred before"},
      {whole + "aGk= 255\n", "id 255 belongs to both"},
  };
  for (const auto& [text, message] : cases) {
    REQUIRE_OK(WriteFileAtomically(path, text));
    INFO(message);
    const auto t = Tokenizer::Load(path);
    CHECK_CODE(t, absl::StatusCode::kInvalidArgument);
    CHECK_THAT(t.status().ToString(), Catch::Contains(message));
  }
}

}  // namespace
}  // namespace hone
