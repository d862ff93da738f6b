#include "libs/reward/demo_model.h"

#include "absl/strings/str_replace.h"
#include "libs/base/file.h"
#include "libs/model/config.h"
#include "libs/model/parameters.h"
#include "libs/reward/countdown_generator.h"
#include "libs/tokenizer/tokenizer.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

TEST_CASE("the demo's tokenizer reads and writes all that the demo says", "[reward]") {
  TempDir dir;
  REQUIRE_OK(WriteDemoModel(dir.path()));
  const auto tokenizer = Tokenizer::Load(dir.path() + "/tokenizer.json");
  REQUIRE_OK(tokenizer);
  const Tokenizer& t = **tokenizer;
  CHECK(t.Id("<pad>") == 0);
  CHECK(t.Id("<bos>") == 1);
  CHECK(t.Id("<eos>") == 2);
  CHECK(t.Id("<think>") == 3);
  CHECK(t.Id("0") == 9);
  CHECK(t.Id("99") == 108);

  CountdownGenerator generator(3, 0);
  for (int i = 0; i < 300; ++i) {
    const CountdownInstance instance = generator.Next(CountdownSplit::kTrain);
    const std::string prompt = CountdownPrompt(instance), demo = generator.Demonstrate(instance);
    INFO(prompt << demo);
    const auto prompt_ids = t.Encode(prompt, {.parse_special = true});
    const auto demo_ids = t.Encode(demo, {.parse_special = true});
    REQUIRE_OK(prompt_ids);
    REQUIRE_OK(demo_ids);
    CHECK(prompt_ids->size() == 13);
    CHECK(demo_ids->size() <= 4 * 11 + 10);
    CHECK(demo_ids->back() == 2);
    CHECK(t.Decode(*demo_ids) == demo);
    CHECK(t.Decode(*prompt_ids) == absl::StrReplaceAll(prompt, {{" ", ""}}));
  }
  CHECK_CODE(t.Encode("Use 100,6,12 to make 22."), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(t.Encode("hello"), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("the demo's model has the shape that its figures are for", "[reward]") {
  TempDir dir;
  REQUIRE_OK(WriteDemoModel(dir.path()));
  const absl::StatusOr<std::string> json = ReadFile(dir.path() + "/config.json", 1 << 20);
  REQUIRE_OK(json);
  const absl::StatusOr<ModelConfig> config = ParseModelConfig(*json);
  REQUIRE_OK(config);
  CHECK(config->attention == ModelConfig::Attention::kMla);
  CHECK(config->sparse == std::vector<bool>{false, true, true});
  CHECK(config->moe.experts == 8);
  CHECK(config->moe.shared_width == 64);
  CHECK(config->moe.has_bias);
  CHECK_FALSE(config->rope_interleaved);
  CHECK(config->eos_ids == std::vector<int32_t>{2});
  const auto tokenizer = Tokenizer::Load(dir.path() + "/tokenizer.json");
  REQUIRE_OK(tokenizer);
  CHECK(config->vocab == (*tokenizer)->vocab_size());
  // 199,712 in the layers, 2 x 64 per token.
  CHECK(ParameterLayout(*config).size() == 199'712 + 128 * config->vocab);
}

TEST_CASE("a demo model that cannot be written is an error", "[reward]") {
  TempDir dir;
  REQUIRE_OK(WriteDemoModel(dir.path()));
  CHECK_FALSE(WriteDemoModel(dir.path() + "/config.json/model").ok());
}

}  // namespace
}  // namespace hone::testing
