#include "libs/model/transformer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "libs/model/lora.h"
#include "libs/model/pass.h"
#include "libs/ops/embedding.h"
#include "libs/ops/rms_norm.h"

namespace hone {
namespace {
ops::RopeTable RopeTableOf(const ModelConfig& config, int64_t max_context) {
  const RopeFrequencies f = ComputeRopeFrequencies(config);
  return ops::MakeRopeTable(f.inv_freq, f.attention_factor,
                            max_context > 0 ? max_context : config.max_positions,
                            config.rope_interleaved);
}
}  // namespace

Transformer::Transformer(const ModelConfig& config, int64_t max_context, const LoraConfig& lora)
    : config_(config), layout_(config, lora), rope_(RopeTableOf(config, max_context)) {}

Matrix Transformer::Infer(const Device& on, Arena& arena, const Weights& weights,
                          const Batch& batch, KvCache& cache) const {
  const Pass pass{.on = on, .arena = arena, .weights = weights, .batch = batch, .cache = &cache};
  Matrix x = pass.New(config_.hidden);
  Matrix next = pass.New(config_.hidden);
  ops::GatherRows(on, pass.Weight(layout_.embedding()), batch.ids.data(), x);
  for (int64_t l = 0; l < config_.layers; ++l) {
    const Arena::Mark mark = arena.mark();
    SavedBlock s;
    const Matrix middle = pass.New(config_.hidden);
    Attention(pass, l, s, x, middle);
    FeedForward(pass, l, s, middle, next);
    std::swap(x, next);
    arena.Release(mark);
  }
  ops::RmsNorm(on, x, pass.Weight(layout_.final_norm()), static_cast<float>(config_.norm_eps), x);
  return x;
}

Matrix Transformer::Forward(const Device& on, Arena& arena, const Weights& weights,
                            const Batch& batch, SavedForward& saved, ExpertLoad* load) const {
  const Pass pass{
      .on = on, .arena = arena, .weights = weights, .batch = batch, .keep = true, .load = load};
  saved.blocks.assign(static_cast<size_t>(config_.layers), {});
  Matrix x = pass.New(config_.hidden);
  ops::GatherRows(on, pass.Weight(layout_.embedding()), batch.ids.data(), x);
  for (int64_t l = 0; l < config_.layers; ++l) {
    SavedBlock& s = saved.blocks[static_cast<size_t>(l)];
    s.x = x;
    s.middle = pass.New(config_.hidden);
    Attention(pass, l, s, x, s.middle);
    x = pass.New(config_.hidden);
    FeedForward(pass, l, s, s.middle, x);
  }
  saved.x = x;
  saved.final_rstd = pass.NewRstd();
  const Matrix hidden = pass.New(config_.hidden);
  ops::RmsNorm(on, x, pass.Weight(layout_.final_norm()), static_cast<float>(config_.norm_eps),
               hidden, saved.final_rstd);
  return hidden;
}

void Transformer::Backward(const Device& on, Arena& arena, const Weights& weights,
                           const Batch& batch, const SavedForward& saved, const Matrix& dhidden,
                           double balance_alpha, ParameterArena& gradients) const {
  Pass pass{.on = on,
            .arena = arena,
            .weights = weights,
            .batch = batch,
            .gradients = &gradients,
            .balance_alpha = balance_alpha};
  const Matrix& dx = dhidden;  // the gradient of the residual stream, updated in place
  ops::RmsNormBackward(on, saved.x, pass.Weight(layout_.final_norm()), saved.final_rstd, dhidden,
                       dx, pass.Gradient(layout_.final_norm()));
  for (int64_t l = config_.layers - 1; l >= 0; --l) {
    const SavedBlock& s = saved.blocks[static_cast<size_t>(l)];
    const Arena::Mark mark = arena.mark();
    const ParameterLayout::Layer& layer = layout_.layers()[static_cast<size_t>(l)];
    if (layer.merged_size > 0) {
      pass.dmerged = arena.NewArray<float>(layer.merged_size);
      pass.merged_begin = layer.merged_begin;
      std::memset(pass.dmerged, 0, static_cast<size_t>(layer.merged_size) * sizeof(float));
    }
    FeedForwardBackward(pass, l, s, dx);
    AttentionBackward(pass, l, s, dx);
    if (layer.merged_size > 0)
      AdapterBackward(on, arena, layout_, l, weights, pass.dmerged, gradients);
    arena.Release(mark);
  }
  if (!layout_.adapted())
    ops::EmbeddingBackward(on, dx, batch.ids.data(), pass.Gradient(layout_.embedding()));
}

}  // namespace hone
