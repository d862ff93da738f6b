// Small tokenizers of our own against what the reference implementation made of the same texts.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libs/tokenizer/tokenizer.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using Ids = std::vector<int32_t>;

std::string DecodeStepwise(const Tokenizer& tokenizer, const Ids& ids,
                           const DecodeOptions& options) {
  IncrementalDecoder decoder(tokenizer, options);
  std::string text;
  for (const int32_t id : ids) text += decoder.Append(id);
  return text + decoder.Finish();
}

TEST_CASE("small tokenizers agree with the reference on every text", "[tokenizer]") {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(HONE_GOLDEN "/tokenizer"))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() >= 38);
  for (const auto& file : files) {
    INFO(file.filename().string());
    std::ifstream in(file);
    const auto golden = nlohmann::json::parse(in);
    const auto tokenizer = Tokenizer::Parse(golden["tokenizer"].dump());
    REQUIRE_OK(tokenizer);
    const Tokenizer& t = **tokenizer;
    REQUIRE(golden["cases"].size() >= 27);
    for (const auto& row : golden["cases"]) {
      const std::string text = row["text"];
      INFO("text " << row["text"].dump());
      CHECK(*t.Encode(text, {.parse_special = true}) == row["ids"].get<Ids>());
      CHECK(*t.Encode(text) == row["plain"].get<Ids>());
      const Ids framed = row["framed"];
      CHECK(*t.Encode(text, {.parse_special = true, .add_special_tokens = true}) == framed);
      CHECK(t.Decode(framed) == row["decoded"].get<std::string>());
      CHECK(t.Decode(framed, {.skip_special = true}) == row["skipped"].get<std::string>());
      CHECK(DecodeStepwise(t, framed, {}) == t.Decode(framed));
      CHECK(DecodeStepwise(t, framed, {.skip_special = true}) ==
            t.Decode(framed, {.skip_special = true}));
    }
  }
}

}  // namespace
}  // namespace hone
