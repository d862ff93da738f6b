// Real vocabularies: published test vectors, whole files, random texts. Needs HONE_DATA.

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "libs/tokenizer/tokenizer.h"
#include "libs/tokenizer/unicode.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using Ids = std::vector<int32_t>;

std::optional<std::string> DataFolder() {
  const char* folder = std::getenv("HONE_DATA");
  if (folder == nullptr) {
    WARN("skipped: HONE_DATA is not set");
    return std::nullopt;
  }
  return folder;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Texts are separated by a marker on a line of its own; every line of the other file has the ids of
// one.
void CheckVectors(const Tokenizer& tokenizer, const std::string& stem) {
  const std::string marker = "\n__ggml_vocab_test__\n";
  const std::string texts = ReadFile(stem + ".inp");
  std::istringstream ids_file(ReadFile(stem + ".out"));
  size_t begin = 0;
  int cases = 0;
  while (begin < texts.size()) {
    const size_t end = std::min(texts.find(marker, begin), texts.size());
    const std::string text = texts.substr(begin, end - begin);
    begin = end + marker.size();
    std::string line;
    REQUIRE(std::getline(ids_file, line));
    std::istringstream numbers(line);
    const Ids want{std::istream_iterator<int32_t>(numbers), {}};
    INFO("text \"" << text << "\"");
    const auto got = tokenizer.Encode(text, {.parse_special = true});
    REQUIRE_OK(got);
    CHECK(*got == want);
    ++cases;
  }
  CHECK(cases == 46);
}

TEST_CASE("published vectors come out of every vocabulary", "[tokenizer]") {
  const auto data = DataFolder();
  if (!data) return;
  struct Vocab {
    const char* folder;
    const char* vectors;
  };
  for (const Vocab& v :
       {Vocab{"gpt2", "gpt-2"}, Vocab{"deepseek-llm", "deepseek-llm"},
        Vocab{"deepseek-coder", "deepseek-coder"}, Vocab{"llama2-spm", "llama-spm"}}) {
    INFO(v.folder);
    const auto tokenizer = Tokenizer::Load(*data + "/tokenizers/" + v.folder + "/tokenizer.json");
    REQUIRE_OK(tokenizer);
    CheckVectors(**tokenizer, *data + "/tokenizers/vectors/ggml-vocab-" + v.vectors + ".gguf");
  }
}

TEST_CASE("a source file has the ids that another implementation gives it", "[tokenizer]") {
  const auto data = DataFolder();
  if (!data) return;
  const std::string text = ReadFile(*data + "/tokenizers/vectors/lib.rs.txt");
  for (const auto& [folder, vectors] :
       {std::pair{"gpt2", "tokens_gpt2.json"},
        std::pair{"cl100k-llama3-style", "tokens_gpt_3.5_turbo.json"}}) {
    INFO(folder);
    const auto tokenizer = Tokenizer::Load(*data + "/tokenizers/" + folder + "/tokenizer.json");
    REQUIRE_OK(tokenizer);
    const Ids want = nlohmann::json::parse(ReadFile(*data + "/tokenizers/vectors/" + vectors));
    const auto got = (*tokenizer)->Encode(text);
    REQUIRE_OK(got);
    CHECK(got->size() == want.size());
    CHECK((*got == want));
    CHECK(((*tokenizer)->Decode(*got) == text));
  }
}

TEST_CASE("the tiktoken file has the ids of the tokenizer.json made from it", "[tokenizer]") {
  const auto data = DataFolder();
  if (!data) return;
  const auto ranks = Tokenizer::Load(*data + "/tokenizers/cl100k_base.tiktoken");
  REQUIRE_OK(ranks);
  const Ids want =
      nlohmann::json::parse(ReadFile(*data + "/tokenizers/vectors/tokens_gpt_3.5_turbo.json"));
  const auto got = (*ranks)->Encode(ReadFile(*data + "/tokenizers/vectors/lib.rs.txt"));
  REQUIRE_OK(got);
  CHECK((*got == want));
}

// Pieces of words, blanks, marks and characters of every plane.
std::string RandomText(std::mt19937_64& random) {
  static constexpr const char* kParts[] = {
      " ",      "  ",    "\n",         "\t",     "the",  " The",          "ing",
      "123",    "0x",    "'s",         "'LL",    ".",    "...",           "==",
      "{}",     "é",     "e\u0301",    "ß",      "漢字", "かな",          "한국",
      "Привет", "مرحبا", "\U0001F600", "\u200d", "<s>",  "<|endoftext|>", "▁",
      "½",      "\u00a0"};
  std::string text;
  const size_t n = random() % 40;
  for (size_t i = 0; i < n; ++i) {
    if (random() % 4 != 0) {
      text += kParts[random() % std::size(kParts)];
      continue;
    }
    auto c = static_cast<char32_t>(random() % 0x110000);
    if (c >= 0xD800 && c <= 0xDFFF) c = U'?';
    AppendUtf8(c, &text);
  }
  return text;
}

TEST_CASE("10,000 random texts come back from every vocabulary", "[tokenizer]") {
  const auto data = DataFolder();
  if (!data) return;
  for (const char* folder :
       {"gpt2", "deepseek-llm", "deepseek-coder", "cl100k-llama3-style", "llama2-spm"}) {
    INFO(folder);
    const auto tokenizer = Tokenizer::Load(*data + "/tokenizers/" + folder + "/tokenizer.json");
    REQUIRE_OK(tokenizer);
    const Tokenizer& t = **tokenizer;
    std::mt19937_64 random(11);
    for (int i = 0; i < 10'000; ++i) {
      const std::string text = RandomText(random);
      const auto ids = t.Encode(text);
      REQUIRE_OK(ids);
      // SentencePiece writes blanks as U+2581 and puts one in front.
      std::string want = text;
      for (size_t at;
           std::string(folder) == "llama2-spm" && (at = want.find("▁")) != std::string::npos;)
        want.replace(at, 3, " ");
      REQUIRE(t.Decode(*ids) == want);
      IncrementalDecoder decoder(t);
      std::string stepwise;
      for (const int32_t id : *ids) stepwise += decoder.Append(id);
      REQUIRE(stepwise + decoder.Finish() == want);
      // Nothing that a user writes is a control token.
      for (const int32_t id : *ids) REQUIRE_FALSE(t.IsSpecial(id));
    }
  }
}

}  // namespace
}  // namespace hone
