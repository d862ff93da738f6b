#include "libs/loop/documents.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/testing/test.h"

namespace hone {
namespace {

std::unique_ptr<Tokenizer> SomeTokenizer() {
  std::ifstream in(std::string(HONE_GOLDEN_DIR) + "/tokenizer/deepseek_style.json");
  return Tokenizer::Parse(nlohmann::json::parse(in)["tokenizer"].dump()).value();
}

v1::FimSpec Sentinels(double rate) {
  v1::FimSpec spec;
  spec.set_rate(rate);
  spec.set_begin("<s>");
  spec.set_hole("<|im_start|>");
  spec.set_end("<think>");
  return spec;
}

TEST_CASE("a document is its tokens and an end; special tokens in it stay text", "[loop]") {
  const auto tokenizer = SomeTokenizer();
  RandomStream random(uint64_t{1});
  const int32_t eos = *tokenizer->Id("</s>");
  const auto ids = EncodeDocument("a </s> b", *tokenizer, eos, std::nullopt, random);
  REQUIRE_OK(ids);
  CHECK(ids->back() == eos);
  CHECK(std::count(ids->begin(), ids->end(), eos) == 1);
  CHECK(tokenizer->Decode({ids->data(), ids->size() - 1}) == "a </s> b");
}

TEST_CASE("fill-in-the-middle: the three parts make up the document, at any code point", "[loop]") {
  const auto tokenizer = SomeTokenizer();
  const auto fim = ResolveFim(Sentinels(1), *tokenizer);
  REQUIRE_OK(fim);
  const std::string text = "def f(x):\n  return \"żółw\" + x\n";
  std::set<std::string> prefixes;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomStream random(seed);
    const auto ids = EncodeDocument(text, *tokenizer, 407, *fim, random);
    REQUIRE_OK(ids);
    const auto at = [&](int32_t id) {
      REQUIRE(std::count(ids->begin(), ids->end(), id) == 1);
      return std::find(ids->begin(), ids->end(), id);
    };
    const auto hole = at(fim->hole), end = at(fim->end);
    REQUIRE(ids->front() == fim->begin);
    REQUIRE(hole < end);
    const auto decode = [&](auto from, auto to) {
      return tokenizer->Decode({&*from, static_cast<size_t>(to - from)});
    };
    const std::string prefix = decode(ids->begin() + 1, hole);
    const std::string suffix = decode(hole + 1, end);
    const std::string middle = decode(end + 1, ids->end() - 1);
    CHECK(prefix + middle + suffix == text);
    prefixes.insert(prefix);
  }
  CHECK(prefixes.size() > 10);

  int split = 0;
  const auto half = ResolveFim(Sentinels(0), *tokenizer);
  REQUIRE_OK(half);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    RandomStream random(seed);
    split += EncodeDocument(text, *tokenizer, 407, *half, random)->front() == half->begin;
  }
  CHECK(split > 440);
  CHECK(split < 560);
}

TEST_CASE("a sentinel that the tokenizer lacks is named", "[loop]") {
  const auto status = ResolveFim({}, *SomeTokenizer()).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message().find("fim.begin") != absl::string_view::npos);
}

TEST_CASE("windows predict every token but the first once", "[loop]") {
  std::vector<int32_t> document(100);
  for (int i = 0; i < 100; ++i) document[static_cast<size_t>(i)] = i;
  for (int64_t context : {2, 7, 34, 99, 100, 101}) {
    std::vector<int32_t> predicted;
    for (const Demonstration& d : Windows(document, context)) {
      CHECK(static_cast<int64_t>(d.prompt.size() + d.response.size()) <= context);
      CHECK(d.prompt[0] + 1 == d.response[0]);
      predicted.insert(predicted.end(), d.response.begin(), d.response.end());
    }
    CHECK(predicted == std::vector<int32_t>(document.begin() + 1, document.end()));
  }
  CHECK(Windows({5}, 10).empty());
}

}  // namespace
}  // namespace hone
