#include "libs/model/transformer.h"

#include <algorithm>
#include <utility>

#include "libs/model/lora.h"
#include "libs/model/pass.h"
#include "libs/ops/embedding.h"
#include "libs/ops/rms_norm.h"

namespace hone {
namespace {
ops::RopeTable RopeTableOf(const ModelConfig& config, int64_t max_context,
                           const kernels::Table& table) {
  const RopeFrequencies f = ComputeRopeFrequencies(config);
  return ops::MakeRopeTable(f.inv_freq, f.attention_factor,
                            max_context > 0 ? max_context : config.max_positions,
                            config.rope_interleaved, table);
}
}  // namespace

Transformer::Transformer(const ModelConfig& config, int64_t max_context, const LoraConfig& lora,
                         const kernels::Table& table)
    : config_(config), layout_(config, lora), rope_(RopeTableOf(config, max_context, table)) {}

Matrix Transformer::Infer(const Device& on, Arena& arena, const Weights& weights,
                          const Batch& batch, const Batch::OnDevice& arrays, KvCache& cache) const {
  const Pass pass{.on = on,
                  .arena = arena,
                  .weights = weights,
                  .batch = batch,
                  .arrays = arrays,
                  .cache = &cache};
  Matrix x = pass.New(config_.hidden);
  Matrix next = pass.New(config_.hidden);
  ops::GatherRows(on, pass.Weight(layout_.embedding()), pass.arrays.ids, x);
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
                            const Batch& batch, SavedForward& saved) const {
  saved.arrays = batch.Upload(on, arena);
  if (config_.moe.experts > 0) {
    const int64_t n = config_.layers * (config_.moe.experts + 1);
    saved.offsets = arena.NewArray<int32_t>(n);
    on.Zero(saved.offsets, n * static_cast<int64_t>(sizeof(int32_t)));
  }
  const Pass pass = Pass::Keeping(on, arena, weights, batch, saved);
  saved.blocks.assign(static_cast<size_t>(config_.layers), {});
  Matrix x = pass.New(config_.hidden);
  ops::GatherRows(on, pass.Weight(layout_.embedding()), pass.arrays.ids, x);
  for (int64_t l = 0; l < config_.layers; ++l) {
    SavedBlock& s = saved.blocks[static_cast<size_t>(l)];
    s.x = x;
    x = pass.New(config_.hidden);
    const Arena::Mark layer = arena.mark();
    s.middle = pass.New(config_.hidden);
    Attention(pass, l, s, s.x, s.middle);
    const SavedBlock attention = s;
    const Arena::Mark feed_forward = arena.mark();
    FeedForward(pass, l, s, s.middle, x);
    if (saved.checkpointing == ActivationCheckpointing::kFeedForward) {
      s = attention;
      arena.Release(feed_forward);
    } else if (saved.checkpointing == ActivationCheckpointing::kLayer) {
      s = {.x = s.x};
      arena.Release(layer);
    }
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
            .arrays = saved.arrays,
            .gradients = &gradients,
            .balance_alpha = balance_alpha};
  const Pass again = Pass::Keeping(on, arena, weights, batch, saved);
  const Matrix& dx = dhidden;  // the gradient of the residual stream, updated in place
  ops::RmsNormBackward(on, saved.x, pass.Weight(layout_.final_norm()), saved.final_rstd, dhidden,
                       dx, pass.Gradient(layout_.final_norm()));
  for (int64_t l = config_.layers - 1; l >= 0; --l) {
    SavedBlock s = saved.blocks[static_cast<size_t>(l)];
    const Arena::Mark mark = arena.mark();
    if (saved.checkpointing == ActivationCheckpointing::kLayer) {
      s.middle = again.New(config_.hidden);
      Attention(again, l, s, s.x, s.middle);
    }
    if (saved.checkpointing != ActivationCheckpointing::kNone)
      FeedForward(again, l, s, s.middle, {});
    const ParameterLayout::Layer& layer = layout_.layers()[static_cast<size_t>(l)];
    if (layer.merged_size > 0) {
      pass.dmerged = arena.NewArray<float>(layer.merged_size);
      pass.merged_begin = layer.merged_begin;
      on.Zero(pass.dmerged, layer.merged_size * static_cast<int64_t>(sizeof(float)));
    }
    const Arena::Mark feed_forward = arena.mark();
    FeedForwardBackward(pass, l, s, dx);
    arena.Release(feed_forward);
    AttentionBackward(pass, l, s, dx);
    if (layer.merged_size > 0)
      AdapterBackward(on, arena, layout_, l, weights, pass.dmerged, gradients);
    arena.Release(mark);
  }
  if (!layout_.adapted())
    ops::EmbeddingBackward(on, dx, saved.arrays.ids, pass.Gradient(layout_.embedding()));
}

void Transformer::AddLoad(const Device& on, const SavedForward& saved, ExpertLoad& load) const {
  if (saved.offsets == nullptr) return;
  const auto experts = static_cast<size_t>(config_.moe.experts);
  std::vector<int32_t> offsets(load.size() * (experts + 1));
  on.Read(offsets.data(), saved.offsets, static_cast<int64_t>(offsets.size()));
  for (size_t l = 0; l < load.size(); ++l)
    for (size_t e = 0; e < load[l].size(); ++e) {
      const size_t at = l * (experts + 1) + e;
      load[l][e] += offsets[at + 1] - offsets[at];
    }
}

}  // namespace hone
