// Completions that share their prompt's rows have the gradients of completions with a prompt each.

#include <cmath>

#include "libs/base/random.h"
#include "libs/model/load.h"
#include "libs/model/lora.h"
#include "libs/model/transformer.h"
#include "tests/model/goldens.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

constexpr int32_t kPrompt = 67, kFirst = 9, kSecond = 70;  // more keys than a tile has

// Sequences [prompt | first] and [prompt | second]; the second's own prompt lies behind the rest.
Batch TwoCompletions(const ModelConfig& config, bool shared) {
  RandomStream random(uint64_t{3});
  Batch batch;
  const auto add = [&](int32_t count, int32_t position) {
    for (int32_t i = 0; i < count; ++i) {
      batch.ids.push_back(static_cast<int32_t>(random.Below(static_cast<uint64_t>(config.vocab))));
      batch.positions.push_back(position + i);
    }
  };
  const auto keys = [&](int32_t begin, int32_t count) {
    for (int32_t i = 0; i < count; ++i) batch.kv_rows.push_back(begin + i);
  };
  add(kPrompt, 0);
  add(kFirst, kPrompt);
  add(kSecond, kPrompt);
  constexpr int32_t kAll = kPrompt + kFirst + kSecond;
  keys(0, kPrompt + kFirst);
  batch.q_start = {0, kPrompt + kFirst, kAll};
  batch.kv_start = {0, kPrompt + kFirst, kPrompt + kAll};
  if (shared) {
    keys(0, kPrompt);
    keys(kPrompt + kFirst, kSecond);
    batch.cluster_start = {0, 2};
    return batch;
  }
  batch.ids.insert(batch.ids.begin() + kPrompt + kFirst, batch.ids.begin(),
                   batch.ids.begin() + kPrompt);
  batch.positions.insert(batch.positions.begin() + kPrompt + kFirst, batch.positions.begin(),
                         batch.positions.begin() + kPrompt);
  keys(kPrompt + kFirst, kPrompt + kSecond);
  batch.q_start.back() = kPrompt + kAll;
  batch.cluster_start = {0, 1, 2};
  return batch;
}

// Of sum(hidden * direction) over the prompt's rows, once, and those of the completions.
std::vector<float> GradientsOf(const Transformer& model, const Weights& weights, bool shared,
                               ActivationCheckpointing checkpointing) {
  const Device on(kernels::Cpu(), 2);
  Arena arena;
  const Batch batch = TwoCompletions(model.config(), shared);
  SavedForward saved{.checkpointing = checkpointing};
  const Matrix hidden = model.Forward(on, arena, weights, batch, saved);
  const Matrix dhidden = arena.NewMatrix(hidden.rows, hidden.cols, DType::kF32);
  RandomStream random(uint64_t{11});
  for (int64_t row = 0; row < dhidden.rows; ++row) {
    const bool again = !shared && row >= kPrompt + kFirst && row < 2 * kPrompt + kFirst;
    for (int64_t c = 0; c < dhidden.cols; ++c)
      dhidden.f32()[row * dhidden.cols + c] = again ? 0.0f : static_cast<float>(random.Normal());
  }
  ParameterArena gradients(model.layout().trained_size(), DType::kF32);
  model.Backward(on, arena, weights, batch, saved, dhidden, 0, gradients);
  const auto* g = static_cast<const float*>(gradients.data());
  return {g, g + gradients.size()};
}

TEST_CASE("a shared prompt has the gradients of one for each completion", "[model]") {
  const LoraConfig lora{.rank = 3, .alpha = 6, .targets = {LoraConfig::kAllLinear}};
  for (const char* name : kGoldens)
    for (const LoraConfig& adapters : {LoraConfig{}, lora}) {
      INFO(name << " rank " << adapters.rank);
      const ModelConfig config = LoadModelConfig(GoldenPath(name)).value();
      const Transformer model(config, 0, adapters);
      Weights weights(model.layout(), DType::kF32);
      REQUIRE_OK(
          LoadWeights(HfReader::Open(GoldenPath(name)).value(), config, model.layout(), weights));
      if (model.layout().adapted()) {
        RandomStream random(uint64_t{5});
        auto* values = static_cast<float*>(weights.adapters.data());
        for (int64_t i = 0; i < weights.adapters.size(); ++i)
          values[i] = static_cast<float>(0.1 * random.Normal());
        Arena arena;
        MergeAdapters(Device(kernels::Cpu(), 1), arena, model.layout(), weights);
      }
      const auto want = GradientsOf(model, weights, false, ActivationCheckpointing::kNone);
      for (const auto checkpointing :
           {ActivationCheckpointing::kNone, ActivationCheckpointing::kFeedForward,
            ActivationCheckpointing::kLayer}) {
        const auto got = GradientsOf(model, weights, true, checkpointing);
        REQUIRE(got.size() == want.size());
        double error = 0, norm = 0;
        for (size_t i = 0; i < got.size(); ++i) {
          error += std::pow(double{got[i]} - want[i], 2);
          norm += std::pow(double{want[i]}, 2);
        }
        CHECK(norm > 0);
        CHECK(std::sqrt(error / norm) < 1e-5);
      }
    }
}

}  // namespace
}  // namespace hone
