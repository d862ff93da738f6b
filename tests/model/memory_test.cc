#include "libs/model/memory.h"

#include <cstring>

#include "libs/model/load.h"
#include "libs/model/transformer.h"
#include "libs/ops/head.h"
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

// One training pass of random weights and gradients of the output.
struct TrainingPass {
  int64_t bytes = 0;  // of activations
  std::vector<float> gradients;
  std::vector<int32_t> offsets;  // rows of the experts
};
TrainingPass Train(const Transformer& model, DType dtype, int32_t tokens,
                   ActivationCheckpointing checkpointing) {
  const ModelConfig& config = model.config();
  const Device on(kernels::Cpu(), 1);
  Weights weights(model.layout(), dtype);
  InitializeWeights(model.layout(), 7, weights);
  ParameterArena gradients(model.layout().size(), DType::kF32);
  const Batch batch = OneSequence(tokens);
  Arena arena;
  SavedForward saved{.checkpointing = checkpointing};
  const Matrix hidden = model.Forward(on, arena, weights, batch, saved);
  Matrix dhidden = arena.NewMatrix(tokens, config.hidden, DType::kF32);
  if (dtype == DType::kBF16) dhidden = arena.NewMatrix(tokens, config.hidden, dtype);
  std::memcpy(dhidden.data, hidden.data,
              static_cast<size_t>(tokens * config.hidden * BytesOf(dtype)));
  model.Backward(on, arena, weights, batch, saved, dhidden, 0.1, gradients);
  TrainingPass pass{.bytes = arena.peak()};
  const auto* g = static_cast<const float*>(gradients.data());
  pass.gradients.assign(g, g + gradients.size());
  if (saved.offsets != nullptr)
    pass.offsets.assign(saved.offsets, saved.offsets + config.layers * (config.moe.experts + 1));
  return pass;
}

TEST_CASE("predicted activations are what a training pass takes; forgetting them changes no bit",
          "[model]") {
  constexpr int32_t kTokens = 250;
  for (const char* name : kGoldens) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      if (dtype == DType::kBF16 && !kernels::Cpu().has_bf16()) continue;
      INFO(name);
      const ModelConfig config = *LoadModelConfig(GoldenPath(name));
      const Transformer model(config);
      TrainingPass whole;
      for (const auto checkpointing :
           {ActivationCheckpointing::kNone, ActivationCheckpointing::kFeedForward,
            ActivationCheckpointing::kLayer}) {
        INFO(static_cast<int>(checkpointing));
        const TrainingPass pass = Train(model, dtype, kTokens, checkpointing);
        const double predicted = ActivationBytesPerToken(config, dtype, checkpointing) * kTokens;
        CHECK(static_cast<double>(pass.bytes) / predicted == Approx(1).epsilon(0.02));
        if (checkpointing == ActivationCheckpointing::kNone) {
          whole = pass;
          continue;
        }
        CHECK(pass.bytes < whole.bytes);
        CHECK(pass.gradients == whole.gradients);
        CHECK(pass.offsets == whole.offsets);
      }
    }
  }
}

TEST_CASE("the head keeps the logits that are predicted, however many rows there are", "[model]") {
  constexpr int64_t kRows = 250;
  ModelConfig config = *LoadModelConfig(GoldenPath("llama2_mha"));
  config.vocab = 1000;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    if (dtype == DType::kBF16 && !kernels::Cpu().has_bf16()) continue;
    const Device on(kernels::Cpu(), 1);
    const Memory hidden(kRows * config.hidden * 4), dhidden(hidden.bytes()),
        head(config.vocab * config.hidden * 4), dhead(head.bytes());
    const auto matrix = [&](const Memory& of, int64_t rows, DType type) {
      return Matrix{of.data(), rows, config.hidden, config.hidden, type};
    };
    const std::vector<int32_t> targets(kRows, 3);
    std::vector<float> inverse(kRows, 1), logp(kRows), lse(kRows), entropy(kRows), coef(kRows, 1);
    for (const int64_t max_rows : {1, 30, 249, 250, 1000}) {
      INFO(max_rows);
      Arena arena;
      ops::HeadLogprobBackward(
          on, arena,
          {.hidden = matrix(hidden, kRows, dtype),
           .targets = targets.data(),
           .inv_temperature = inverse.data(),
           .logp = logp.data(),
           .lse = lse.data(),
           .entropy = entropy.data()},
          matrix(head, config.vocab, dtype), config.vocab, max_rows, coef.data(), nullptr, [] {},
          matrix(dhidden, kRows, dtype), matrix(dhead, config.vocab, DType::kF32));
      const TrainingMemory m =
          MemoryOfTraining(config, {.dtype = dtype,
                                    .scored_tokens = kRows,
                                    .head_chunk_bytes = max_rows * config.vocab * 4});
      CHECK(static_cast<double>(arena.peak()) / m.head == Approx(1).epsilon(0.02));
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
    model.Infer(on, arena, weights, batch, batch.Upload(on, arena), cache);
    CHECK(static_cast<double>(arena.peak()) / m.activations == Approx(1).epsilon(0.02));
  }
}

}  // namespace
}  // namespace hone
