// The promise: a token's logprob has the same bits in the engine, whatever else it was doing, in
// Score() and in the learner's forward pass.

#include <algorithm>

#include "tests/engine/world.h"

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

  // Score: teacher-forced, alone.
  Engine engine(*world.model, nullptr, {.max_batch_tokens = 50, .dtype = world.dtype},
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

}  // namespace
}  // namespace hone
