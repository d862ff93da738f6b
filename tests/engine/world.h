#pragma once

#include <map>

#include "libs/base/random.h"
#include "libs/engine/engine.h"
#include "libs/model/load.h"
#include "libs/train/trainer.h"
#include "tests/model/goldens.h"
#include "tests/testing/test.h"

namespace hone {

// A toy checkpoint with what it takes to generate from it and to train it.
struct World {
  World(const std::string& name, DType type, const LoraConfig& lora = {},
        const kernels::Table& table = kernels::Cpu())
      : dtype(type) {
    const std::string dir = GoldenPath(name);
    config = LoadModelConfig(dir).value();
    config.eos_ids = {1};
    model = std::make_unique<Transformer>(config, 256, lora, table);
    // Few logits at a time, so that completions are divided.
    trainer = std::make_unique<Trainer>(
        *model, Trainer::Options{.dtype = dtype, .head_chunk_bytes = 37 * 4 * config.vocab});
    const HfReader reader = HfReader::Open(dir).value();
    REQUIRE_OK(LoadWeights(reader, config, model->layout(), trainer->weights()));
    const ParameterArena& adapters = trainer->weights().adapters;
    RandomStream random(uint64_t{13});
    std::vector<float> values;
    for (int64_t i = 0; i < adapters.size(); ++i)
      values.push_back(static_cast<float>(0.05 * random.Normal()));
    Device(table, 1).Write(static_cast<float*>(adapters.data()), values.data(), adapters.size());
    trainer->WeightsChanged();
  }
  std::shared_ptr<const Weights> weights() const {
    return {&trainer->weights(), [](const Weights*) {}};
  }
  // Six prompts of 1 to 93 tokens; some cross a cache block.
  std::vector<GroupRequest> Requests(int group_size, int max_new) const {
    std::vector<GroupRequest> requests;
    RandomStream random(uint64_t{7});
    for (int i = 0; i < 6; ++i) {
      GroupRequest r{
          .id = static_cast<uint64_t>(i + 1), .group_size = group_size, .seed = 99, .issue = i};
      // The last grows beyond a split of attention's keys (on the simulated GPU).
      const uint64_t length = i == 0 ? 1 : i == 5 ? 125 : 3 + random.Below(90);
      for (uint64_t t = 0; t < length; ++t)
        r.prompt.push_back(
            static_cast<int32_t>(2 + random.Below(static_cast<uint64_t>(config.vocab) - 2)));
      r.sampling.set_max_new_tokens(max_new);
      r.sampling.set_temperature(i % 2 == 0 ? 1.0f : 0.7f);
      requests.push_back(std::move(r));
    }
    return requests;
  }
  DType dtype;
  ModelConfig config;
  std::unique_ptr<Transformer> model;
  std::unique_ptr<Trainer> trainer;
};

using Completions = std::map<std::pair<int64_t, int>, v1::Completion>;  // (issue, sample)

inline Completions Generate(const World& world, Engine::Options options,
                            const std::vector<GroupRequest>& requests,
                            int64_t* preemptions = nullptr) {
  Completions out;
  options.dtype = world.dtype;
  Engine engine(*world.model, nullptr, options, [&](const GroupRequest& r, v1::Completion c) {
    c.clear_generate_seconds();
    out[{r.issue, c.sample_index()}] = std::move(c);
  });
  engine.SetWeights(world.weights(), 5, InFlight::kKeep);
  for (const GroupRequest& r : requests) REQUIRE_OK(engine.Submit(r));
  while (engine.Step()) {
  }
  CHECK(engine.cache_used_ratio() == 0);
  if (preemptions != nullptr) *preemptions = engine.preemptions();
  return out;
}

}  // namespace hone
