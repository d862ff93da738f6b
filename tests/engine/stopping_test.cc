#include "libs/engine/stopping.h"

#include "tests/testing/test.h"

namespace hone {
namespace {

// Words a, b, c and <eos> as tokens 0..3.
std::unique_ptr<Tokenizer> Words() {
  auto tokenizer = Tokenizer::Parse(R"({"version":"1.0","added_tokens":[
      {"id":3,"content":"<eos>","special":true,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false}],
      "normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":{"type":"Fuse"},
      "model":{"type":"WordLevel","vocab":{"a":0,"b":1,"c":2,"<eos>":3},"unk_token":"<eos>"}})");
  REQUIRE_OK(tokenizer);
  return *std::move(tokenizer);
}

TEST_CASE("a completion ends at its stop token, stop string or length, whichever comes first",
          "[engine]") {
  const auto tokenizer = Words();
  v1::SamplingParams params;
  params.add_stop("bc");
  const std::vector<int32_t> eos = {3};
  {
    Stopping stopping(tokenizer.get(), params, eos, 10);
    CHECK_FALSE(stopping.Append(0).has_value());
    CHECK(stopping.Append(3) == v1::FINISH_REASON_STOP_TOKEN);
    CHECK(stopping.TakeText() == "a");  // without the stop token
  }
  {
    Stopping stopping(tokenizer.get(), params, eos, 10);
    CHECK_FALSE(stopping.Append(0).has_value());
    CHECK_FALSE(stopping.Append(1).has_value());
    CHECK(stopping.Append(2) == v1::FINISH_REASON_STOP_STRING);
    CHECK(stopping.TakeText() == "abc");
  }
  {
    Stopping stopping(tokenizer.get(), params, eos, 2);
    CHECK_FALSE(stopping.Append(2).has_value());
    CHECK(stopping.Append(2) == v1::FINISH_REASON_LENGTH);
  }
  params.add_stop_token_ids(0);
  Stopping stopping(tokenizer.get(), params, eos, 10);
  CHECK(stopping.Append(0) == v1::FINISH_REASON_STOP_TOKEN);
}

}  // namespace
}  // namespace hone
