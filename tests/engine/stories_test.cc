// A really trained model: stories260K in Hugging Face layout.

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "libs/engine/engine.h"
#include "libs/model/load.h"
#include "nlohmann/json.hpp"
#include "tests/testing/test.h"

namespace hone {
namespace {

TEST_CASE("stories260K tells its golden story", "[engine]") {
  const char* data = std::getenv("HONE_DATA");
  if (data == nullptr) HONE_SKIP("HONE_DATA is not set");
  const std::string dir = std::string(data) + "/models/stories260K";
  std::ifstream in(dir + "/golden_greedy.json");
  const nlohmann::json golden = nlohmann::json::parse(in);
  const std::vector<int32_t> ids = golden["greedy_ids"];
  const std::vector<double> want = golden["token_logprobs"];
  const std::vector<int32_t> prompt = golden["prompt_ids"];

  const ModelConfig config = *LoadModelConfig(dir + "/hf");
  const Transformer model(config);
  const auto weights = std::make_shared<Weights>(model.layout(), DType::kF32);
  REQUIRE_OK(LoadWeights(*HfReader::Open(dir + "/hf"), config, model.layout(), *weights));
  const auto tokenizer = Tokenizer::Load(dir + "/tokenizer.json");
  REQUIRE_OK(tokenizer);
  v1::Completion completion;
  Engine engine(model, tokenizer->get(), {.vocab = (*tokenizer)->vocab_size()},
                [&](const GroupRequest&, v1::Completion c) { completion = std::move(c); });
  engine.SetWeights(weights, 0, InFlight::kAbort);
  GroupRequest request{.id = 1, .prompt = prompt};
  request.sampling.set_greedy(true);
  request.sampling.set_temperature(1);
  request.sampling.set_max_new_tokens(static_cast<int32_t>(want.size()));
  REQUIRE_OK(engine.Submit(request));
  while (engine.Step()) {
  }
  REQUIRE(completion.token_ids_size() == static_cast<int>(want.size()));
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    REQUIRE(completion.token_ids(static_cast<int>(i)) == ids[prompt.size() + i]);
    worst = std::max(worst, std::abs(completion.logprobs(static_cast<int>(i)) - want[i]));
  }
  INFO("worst logprob error " << worst);
  CHECK(worst <= 2e-5);
  // The decoder strips the space in front of the first word of a text.
  CHECK((*tokenizer)->Decode(ids, {.skip_special = true}) == golden["text"].get<std::string>());
  CHECK(golden["text"].get<std::string>().find(completion.text().substr(1)) != std::string::npos);
}

}  // namespace
}  // namespace hone
