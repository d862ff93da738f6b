#include "libs/model/parameters.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/random.h"
#include "libs/tensor/device.h"

namespace hone {

using Span = ParameterLayout::Span;

Span ParameterLayout::Add(std::string name, int64_t rows, int64_t cols, ParameterRole role) {
  const Span span{size_, rows, cols};
  parameters_.push_back({std::move(name), rows, cols, size_, role});
  size_ += rows * cols;
  return span;
}

namespace {
// The view of consecutive tensors of equal width.
Span Join(const Span& a, const Span& b) {
  HONE_CHECK(a.cols == b.cols && a.offset + a.rows * a.cols == b.offset);
  return {a.offset, a.rows + b.rows, a.cols};
}
// The view of consecutive vectors as one.
Span JoinVectors(const Span& a, const Span& b) {
  HONE_CHECK(a.rows == 1 && b.rows == 1 && a.offset + a.cols == b.offset);
  return {a.offset, 1, a.cols + b.cols};
}
}  // namespace

void ParameterLayout::AddAttention(const ModelConfig& c, const std::string& prefix, Layer& layer) {
  const auto matrix = [&](const char* name, int64_t rows, int64_t cols) {
    return Add(absl::StrCat(prefix, "self_attn.", name, ".weight"), rows, cols,
               ParameterRole::kMatrix);
  };
  const auto norm = [&](const char* name, int64_t cols) {
    return Add(absl::StrCat(prefix, "self_attn.", name, ".weight"), 1, cols, ParameterRole::kNorm);
  };
  const auto bias = [&](const char* name, int64_t cols) {
    return Add(absl::StrCat(prefix, "self_attn.", name, ".bias"), 1, cols, ParameterRole::kBias);
  };
  if (c.attention == ModelConfig::Attention::kMla) {
    const int64_t q_dim = c.heads * (c.nope_dim + c.rope_dim);
    const Span q = c.q_lora_rank > 0 ? matrix("q_a_proj", c.q_lora_rank, c.hidden)
                                     : matrix("q_proj", q_dim, c.hidden);
    const Span kv = matrix("kv_a_proj_with_mqa", c.kv_lora_rank + c.rope_dim, c.hidden);
    layer.input = Join(q, kv);
    if (c.q_lora_rank > 0) {
      layer.q_a_norm = norm("q_a_layernorm", c.q_lora_rank);
      layer.q_b = matrix("q_b_proj", q_dim, c.q_lora_rank);
    }
    layer.kv_a_norm = norm("kv_a_layernorm", c.kv_lora_rank);
    layer.kv_b = matrix("kv_b_proj", c.heads * (c.nope_dim + c.v_dim), c.kv_lora_rank);
  } else {
    const Span q = matrix("q_proj", c.heads * c.head_dim, c.hidden);
    const Span k = matrix("k_proj", c.kv_heads * c.head_dim, c.hidden);
    const Span v = matrix("v_proj", c.kv_heads * c.head_dim, c.hidden);
    layer.input = Join(Join(q, k), v);
    if (c.input_bias) {
      const Span q_bias = bias("q_proj", q.rows);
      const Span k_bias = bias("k_proj", k.rows);
      layer.input_bias = JoinVectors(JoinVectors(q_bias, k_bias), bias("v_proj", v.rows));
    }
    if (c.qk_norm) {
      layer.q_norm = norm("q_norm", c.head_dim);
      layer.k_norm = norm("k_norm", c.head_dim);
    }
  }
  layer.output = matrix("o_proj", c.hidden, c.heads * c.v_dim);
  if (c.output_bias) layer.output_bias = bias("o_proj", c.hidden);
}

void ParameterLayout::AddFeedForward(const ModelConfig& c, bool sparse, const std::string& prefix,
                                     Layer& layer) {
  const auto swiglu = [&](const std::string& name, int64_t width) {
    const Span gate =
        Add(absl::StrCat(name, "gate_proj.weight"), width, c.hidden, ParameterRole::kMatrix);
    const Span up =
        Add(absl::StrCat(name, "up_proj.weight"), width, c.hidden, ParameterRole::kMatrix);
    return Join(gate, up);
  };
  const auto down = [&](const std::string& name, int64_t width) {
    return Add(absl::StrCat(name, "down_proj.weight"), c.hidden, width, ParameterRole::kMatrix);
  };
  const std::string mlp = absl::StrCat(prefix, "mlp.");
  if (!sparse) {
    layer.gate_up = swiglu(mlp, c.dense_width);
    layer.down = down(mlp, c.dense_width);
    if (!c.mlp_bias) return;
    const auto bias = [&](const char* which, int64_t cols) {
      return Add(absl::StrCat(mlp, which, "_proj.bias"), 1, cols, ParameterRole::kBias);
    };
    const Span gate = bias("gate", c.dense_width);
    layer.gate_up_bias = JoinVectors(gate, bias("up", c.dense_width));
    layer.down_bias = bias("down", c.hidden);
    return;
  }
  layer.router =
      Add(absl::StrCat(mlp, "gate.weight"), c.moe.experts, c.hidden, ParameterRole::kRouter);
  if (c.moe.has_bias) {
    layer.bias = bias_size_;
    biases_.push_back({absl::StrCat(mlp, "gate.e_score_correction_bias"), 1, c.moe.experts,
                       bias_size_, ParameterRole::kBias});
    bias_size_ += c.moe.experts;
  }
  if (c.moe.shared_width > 0) {
    layer.gate_up = swiglu(absl::StrCat(mlp, "shared_experts."), c.moe.shared_width);
    layer.down = down(absl::StrCat(mlp, "shared_experts."), c.moe.shared_width);
  }
  for (int64_t e = 0; e < c.moe.experts; ++e) {
    const Span s = swiglu(absl::StrCat(mlp, "experts.", e, "."), c.moe.width);
    layer.expert_gate_up = e == 0 ? s : Join(layer.expert_gate_up, s);
  }
  for (int64_t e = 0; e < c.moe.experts; ++e) {
    const Span s = down(absl::StrCat(mlp, "experts.", e, "."), c.moe.width);
    layer.expert_down = e == 0 ? s : Join(layer.expert_down, s);
  }
}

std::string LoraConfig::ModuleOf(const std::string& parameter) {
  const std::string path = parameter.substr(0, parameter.rfind('.'));
  return path.substr(path.rfind('.') + 1);
}

bool LoraConfig::Targets(const std::string& parameter) const {
  const std::string module = ModuleOf(parameter);
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& target) {
    return target == kAllLinear || target == module;
  });
}

// Pairs each targeted tensor with its A and B, and gives the fused products around them a place in
// the merged arena.
void ParameterLayout::AddAdapters() {
  const auto add = [this](std::string name, int64_t rows, int64_t cols) {
    adapters_.push_back({std::move(name), rows, cols, adapters_size_, ParameterRole::kAdapter});
    adapters_size_ += rows * cols;
    return Span{adapters_.back().offset, rows, cols};
  };
  auto next = parameters_.begin();  // layers lie one after the other
  for (Layer& layer : layers_) {
    layer.merged_begin = merged_size_;
    std::vector<const Parameter*> targets;
    for (; next != parameters_.end() && next->offset < layer.end; ++next)
      if (next->role == ParameterRole::kMatrix && lora_.Targets(next->name))
        targets.push_back(&*next);
    layer.ForEachSpan([&](Span& span) {
      for (const Parameter* p : targets) {
        if (p->offset < span.offset || p->offset >= span.offset + span.rows * span.cols) continue;
        if (span.merged < 0) {
          span.merged = merged_size_;
          merged_size_ += span.rows * span.cols;
        }
        const std::string module = p->name.substr(0, p->name.rfind('.'));
        const Span target{p->offset, p->rows, p->cols, span.merged + p->offset - span.offset};
        const Span a = add(absl::StrCat(module, ".lora_A.weight"), lora_.rank, p->cols);
        const Span b = add(absl::StrCat(module, ".lora_B.weight"), p->rows, lora_.rank);
        layer.adapters.push_back({module, target, a, b});
      }
    });
    layer.merged_size = merged_size_ - layer.merged_begin;
  }
}

ParameterLayout::ParameterLayout(const ModelConfig& c, const LoraConfig& lora) : lora_(lora) {
  embedding_ = Add("model.embed_tokens.weight", c.vocab, c.hidden, ParameterRole::kEmbedding);
  for (int64_t l = 0; l < c.layers; ++l) {
    const std::string prefix = absl::StrCat("model.layers.", l, ".");
    Layer layer;
    layer.attention_norm =
        Add(absl::StrCat(prefix, "input_layernorm.weight"), 1, c.hidden, ParameterRole::kNorm);
    AddAttention(c, prefix, layer);
    layer.ffn_norm = Add(absl::StrCat(prefix, "post_attention_layernorm.weight"), 1, c.hidden,
                         ParameterRole::kNorm);
    AddFeedForward(c, c.sparse[static_cast<size_t>(l)], prefix, layer);
    layer.end = size_;
    layers_.push_back(layer);
  }
  final_norm_ = Add("model.norm.weight", 1, c.hidden, ParameterRole::kNorm);
  head_ = c.tied ? embedding_ : Add("lm_head.weight", c.vocab, c.hidden, ParameterRole::kHead);
  if (adapted()) AddAdapters();
}

void CopyTrained(const Device& on, const Weights& from, Weights& to) {
  const auto copy = [&on](const ParameterArena& x, ParameterArena& y) {
    HONE_CHECK(x.bytes() == y.bytes());
    on.Copy(y.data(), x.data(), x.bytes());
  };
  copy(from.trained(), to.trained());
  copy(from.biases, to.biases);
  copy(from.merged, to.merged);
}

void InitializeWeights(const ParameterLayout& layout, uint64_t seed, Weights& weights) {
  std::vector<float> values(static_cast<size_t>(layout.size()));
  for (const Parameter& p : layout.parameters()) {
    float* out = values.data() + p.offset;
    if (p.is_vector()) {
      std::fill_n(out, p.size(), p.role == ParameterRole::kNorm ? 1.0f : 0.0f);
      continue;
    }
    double std = 1 / std::sqrt(static_cast<double>(p.cols));
    if (p.role == ParameterRole::kEmbedding) std = 0.5;
    if (p.role == ParameterRole::kHead) std *= 0.5;
    // Routed experts keep 1/fan_in: each sees few tokens.
    const bool writes_residual =
        absl::StrContains(p.name, ".o_proj.") ||
        (absl::StrContains(p.name, ".down_proj.") && !absl::StrContains(p.name, ".experts."));
    if (writes_residual) std *= 0.5;
    RandomStream stream(DeriveKey(KeyFromSeed(seed), p.name));
    for (int64_t i = 0; i < p.size(); ++i) out[i] = static_cast<float>(std * stream.Normal());
  }
  const Device on(weights.table(), 1);
  Arena arena(weights.table());
  const auto [x] = on.Upload(arena, values);
  on.Run(on.table().cast, kernels::CastArgs{.x = x,
                                            .y = weights.parameters.data(),
                                            .n = layout.size(),
                                            .from = DType::kF32,
                                            .to = weights.parameters.dtype()});
  on.Synchronize();
}

}  // namespace hone
