#include "libs/model/memory.h"

#include <cstring>

#include "libs/model/load.h"
#include "libs/model/transformer.h"
#include "tests/model/goldens.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

Batch OneSequence(int32_t tokens) {
  Batch batch;
  batch.q_start = batch.kv_start = {0, tokens};
  batch.cluster_start = {0, 1};
  for (int32_t t = 0; t < tokens; ++t) {
    batch.ids.push_back(2 + t % 90);
    batch.positions.push_back(t);
    batch.kv_rows.push_back(t);
  }
  return batch;
}

TEST_CASE("the counted parameters are those of the layout", "[model]") {
  for (const char* name : kGoldens) {
    INFO(name);
    const ModelConfig config = *LoadModelConfig(GoldenPath(name));
    CHECK(config.ParameterCount() == static_cast<double>(ParameterLayout(config).size()));
    CHECK((config.ParameterCount(/*active=*/true) < config.ParameterCount()) ==
          (config.moe.experts > 0));
  }
  // Published: 671B parameters of which 37B are active, and 16B of which 3B (embeddings
  // out: 2.24B).
  ModelConfig v3 = *LoadModelConfig(GoldenPath("dsv3"));
  v3.hidden = 7168, v3.layers = 61, v3.heads = 128, v3.q_lora_rank = 1536, v3.kv_lora_rank = 512;
  v3.nope_dim = 128, v3.rope_dim = 64, v3.v_dim = 128, v3.dense_width = 18432, v3.vocab = 129280;
  v3.moe.experts = 256, v3.moe.experts_per_token = 8;
  v3.moe.width = v3.moe.shared_width = 2048;
  v3.sparse.assign(61, true);
  v3.sparse[0] = v3.sparse[1] = v3.sparse[2] = false;
  CHECK(std::abs(v3.ParameterCount() / 671e9 - 1) < 0.001);
  CHECK(std::abs(v3.ParameterCount(true) / 37.5e9 - 1) < 0.01);
}

TEST_CASE("predicted activations are what a training pass takes", "[model]") {
  constexpr int32_t kTokens = 250;
  for (const char* name : kGoldens) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      if (dtype == DType::kBF16 && !kernels::Cpu().has_bf16()) continue;
      INFO(name);
      const ModelConfig config = *LoadModelConfig(GoldenPath(name));
      const Transformer model(config);
      const Weights weights(model.layout(), dtype);
      ParameterArena gradients(model.layout().size(), DType::kF32);
      const Device on(kernels::Cpu(), 1);
      const Batch batch = OneSequence(kTokens);
      Arena arena;
      SavedForward saved;
      model.Forward(on, arena, weights, batch, saved);
      Matrix dhidden = arena.NewMatrix(kTokens, config.hidden, DType::kF32);
      if (dtype == DType::kBF16) dhidden = arena.NewMatrix(kTokens, config.hidden, dtype);
      std::memset(dhidden.data, 0, static_cast<size_t>(kTokens * config.hidden * BytesOf(dtype)));
      model.Backward(on, arena, weights, batch, saved, dhidden, 0, gradients);
      const double predicted = ActivationBytesPerToken(config, dtype) * kTokens;
      CHECK(static_cast<double>(arena.peak()) / predicted == Approx(1).epsilon(0.02));
    }
  }
}

TEST_CASE("the cache and one forward pass of the engine have the predicted sizes", "[model]") {
  constexpr int32_t kTokens = 250;
  for (const char* name : kGoldens) {
    INFO(name);
    const ModelConfig config = *LoadModelConfig(GoldenPath(name));
    const Transformer model(config);
    const Weights weights(model.layout(), DType::kF32);
    KvCache cache(config, kTokens, DType::kF32);
    const RolloutMemory m =
        MemoryOfRollout(config, {.cache_tokens = kTokens, .batch_tokens = kTokens, .sequences = 0});
    CHECK(m.cache == static_cast<double>(cache.bytes()));
    CHECK(m.weights == static_cast<double>(weights.parameters.bytes() + weights.biases.bytes()));
    Batch batch = OneSequence(kTokens);
    batch.cache_rows = batch.kv_rows;
    const Device on(kernels::Cpu(), 1);
    Arena arena;
    model.Infer(on, arena, weights, batch, cache);
    CHECK(static_cast<double>(arena.peak()) / m.activations == Approx(1).epsilon(0.02));
  }
}

}  // namespace
}  // namespace hone
