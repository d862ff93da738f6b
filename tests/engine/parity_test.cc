// The promise: a token's logprob has the same bits in the engine, whatever else it was doing, in
// Score() and in the learner's forward pass.

#include <algorithm>

#include "libs/model/memory.h"
#include "tests/engine/world.h"
#include "tests/testing/metered_table.h"

namespace hone {
namespace {

void CheckEqual(const Completions& got, const Completions& want) {
  REQUIRE(got.size() == want.size());
  for (const auto& [key, completion] : want)
    CHECK(got.at(key).SerializeAsString() == completion.SerializeAsString());
}

void CheckParity(const World& world) {
  const std::vector<GroupRequest> requests = world.Requests(4, 70);
  const Completions want = Generate(world, {}, requests);
  REQUIRE(want.size() == 24);
  {
    INFO("order of requests");
    CheckEqual(Generate(world, {}, {requests.rbegin(), requests.rend()}), want);
  }
  {
    INFO("prefill in small chunks, few sequences at once");
    CheckEqual(Generate(world, {.max_batch_tokens = 7, .max_sequences = 5}, requests), want);
  }
  {
    INFO("threads");
    CheckEqual(Generate(world, {.threads = 3}, requests), want);
  }
  {
    INFO("preemption");
    int64_t preemptions = 0;
    CheckEqual(Generate(world, {.cache_tokens = 64 * 8}, requests, &preemptions), want);
    CHECK(preemptions > 0);
  }
  {
    INFO("group size");
    std::vector<GroupRequest> pairs = requests;
    for (GroupRequest& r : pairs) r.group_size = 2;
    for (const auto& [key, completion] : Generate(world, {}, pairs))
      CHECK(completion.SerializeAsString() == want.at(key).SerializeAsString());
  }

  // Score: teacher-forced, alone, logits of a few rows at a time.
  Engine engine(*world.model, nullptr,
                {.max_batch_tokens = 50, .max_sequences = 13, .dtype = world.dtype},
                [](const GroupRequest&, v1::Completion) {});
  engine.SetWeights(world.weights(), 5, InFlight::kKeep);
  std::vector<TrainSequence> sequences;
  std::vector<const v1::Completion*> completions;
  for (const auto& [key, completion] : want) {
    const GroupRequest& r = requests[static_cast<size_t>(key.first)];
    std::vector<int32_t> ids = r.prompt;
    ids.insert(ids.end(), completion.token_ids().begin(), completion.token_ids().end());
    const auto scored = engine.Score(ids, r.sampling.temperature());
    REQUIRE_OK(scored);
    CHECK(std::equal(completion.logprobs().begin(), completion.logprobs().end(),
                     scored->begin() + static_cast<int64_t>(r.prompt.size()) - 1));
    sequences.push_back({.group = key.first,
                         .prompt = r.prompt,
                         .completion = {completion.token_ids().data(),
                                        static_cast<size_t>(completion.token_ids_size())},
                         .inv_temperature = 1 / r.sampling.temperature()});
    completions.push_back(&completion);
  }

  // The learner: packed, prompts shared by groups, in micro-batches of two sizes.
  for (int64_t tokens : {90, 4096}) {
    const auto logp = world.trainer->Logprobs(world.trainer->weights(), sequences, tokens);
    for (size_t i = 0; i < logp.size(); ++i)
      CHECK(std::equal(logp[i].begin(), logp[i].end(), completions[i]->logprobs().begin(),
                       completions[i]->logprobs().end()));
  }
}

const LoraConfig kLora{.rank = 4, .alpha = 8, .targets = {LoraConfig::kAllLinear}};

TEST_CASE("f32: rollout, Score and learner agree bit for bit", "[engine]") {
  for (const char* name : kGoldens) {
    INFO(name);
    CheckParity(World(name, DType::kF32));
    CheckParity(World(name, DType::kF32, kLora));
  }
}

TEST_CASE("bf16: rollout, Score and learner agree bit for bit", "[engine]") {
  if (!kernels::Cpu().has_bf16()) {
    WARN("SKIPPED: no bf16 matrix unit");
    return;
  }
  for (const char* name : kGoldens) {
    INFO(name);
    CheckParity(World(name, DType::kBF16));
    CheckParity(World(name, DType::kBF16, kLora));
  }
}

TEST_CASE("an engine takes the memory that is predicted when it is made, and no more", "[engine]") {
  const ModelConfig config =
      ParseModelConfig(R"({"model_type":"llama","hidden_size":64,"num_hidden_layers":2,
          "num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":128,
          "vocab_size":8192,"max_position_embeddings":512,"tie_word_embeddings":false})")
          .value();
  const Transformer model(config, 0, {}, testing::MeteredTable());
  const auto weights = std::make_shared<Weights>(model.layout(), DType::kF32, model.table());
  InitializeWeights(model.layout(), 1, *weights);
  const int64_t before = testing::HeldBytes();
  Engine engine(model, nullptr,
                {.max_batch_tokens = 300, .max_sequences = 64, .cache_tokens = 1024},
                [](const GroupRequest&, v1::Completion) {});
  const RolloutMemory predicted =
      MemoryOfRollout(config, {.cache_tokens = 1024, .batch_tokens = 300, .sequences = 64});
  const int64_t held = testing::HeldBytes() - before;
  CHECK(static_cast<double>(held) ==
        Approx(predicted.cache + predicted.activations).epsilon(0.001));
  engine.SetWeights(weights, 1, InFlight::kKeep);
  REQUIRE_OK(engine.Score(std::vector<int32_t>(300, 5), 1));
  GroupRequest r{.id = 1, .prompt = std::vector<int32_t>(299, 7), .group_size = 64};
  r.sampling.set_max_new_tokens(3);
  REQUIRE_OK(engine.Submit(r));
  while (engine.Step()) {
  }
  CHECK(testing::HeldBytes() - before == held);
}

}  // namespace
}  // namespace hone
