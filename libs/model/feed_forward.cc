// Dense SwiGLU and DeepSeekMoE: forward and backward.

#include "libs/model/pass.h"
#include "libs/ops/embedding.h"
#include "libs/ops/linear.h"
#include "libs/ops/rms_norm.h"
#include "libs/ops/swiglu.h"

namespace hone {

void Transformer::FeedForward(const Pass& pass, int64_t layer, SavedBlock& s, const Matrix& x,
                              const Matrix& out) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  s.ffn_rstd = pass.NewRstd();
  s.ffn_in = pass.New(config_.hidden);
  ops::RmsNorm(pass.on, x, pass.Weight(w.ffn_norm), static_cast<float>(config_.norm_eps), s.ffn_in,
               s.ffn_rstd);
  Matrix residual = x;
  if (w.gate_up.offset >= 0) {  // dense, or the shared expert
    s.gate_up = pass.New(w.gate_up.rows);
    s.activated = pass.New(w.down.cols);
    ops::Linear(pass.on, s.ffn_in, pass.Weight(w.gate_up), s.gate_up, {},
                pass.Bias(w.gate_up_bias));
    ops::Swiglu(pass.on, s.gate_up, s.activated);
    if (!out.empty())
      ops::Linear(pass.on, s.activated, pass.Weight(w.down), out, residual, pass.Bias(w.down_bias));
    residual = out;
  }
  if (w.router.offset < 0) return;

  Route(pass, layer, s);
  const ModelConfig::Moe& moe = config_.moe;
  const int64_t routed = pass.tokens() * moe.experts_per_token;
  const auto new_routed = [&](int64_t cols) {
    return pass.arena.NewMatrix(routed, cols, pass.dtype());
  };
  s.routed_in = new_routed(config_.hidden);
  s.routed_gate_up = new_routed(2 * moe.width);
  s.routed_activated = new_routed(moe.width);
  s.routed_out = new_routed(config_.hidden);
  ops::GatherRows(pass.on, s.ffn_in, s.permute.token_of, s.routed_in);
  ops::ExpertLinear(pass.on, s.routed_in, pass.Weight(w.expert_gate_up), s.permute.offsets,
                    moe.experts, s.routed_gate_up);
  ops::Swiglu(pass.on, s.routed_gate_up, s.routed_activated);
  ops::ExpertLinear(pass.on, s.routed_activated, pass.Weight(w.expert_down), s.permute.offsets,
                    moe.experts, s.routed_out);
  if (out.empty()) return;
  pass.on.Run(pass.on.table().combine, kernels::CombineArgs{.y = s.routed_out.data,
                                                            .row_of = s.permute.row_of,
                                                            .weights = s.route.weights,
                                                            .add = residual.data,
                                                            .out = out.data,
                                                            .n = pass.tokens(),
                                                            .k = moe.experts_per_token,
                                                            .c = config_.hidden,
                                                            .dtype = pass.dtype()});
}

void Transformer::Route(const Pass& pass, int64_t layer, SavedBlock& s) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig::Moe& moe = config_.moe;
  const int64_t n = pass.tokens();
  const Matrix logits = pass.arena.NewMatrix(n, moe.experts, DType::kF32);
  ops::Linear(pass.on, s.ffn_in, pass.Weight(w.router), logits);
  s.route = {.logits = logits.f32(),
             .bias = w.bias >= 0 ? static_cast<const float*>(pass.weights.biases.data()) + w.bias
                                 : nullptr,
             .scores = pass.arena.NewArray<float>(n * moe.experts),
             .experts = pass.arena.NewArray<int32_t>(n * moe.experts_per_token),
             .weights = pass.arena.NewArray<float>(n * moe.experts_per_token),
             .n = n,
             .e = moe.experts,
             .k = moe.experts_per_token,
             .groups = moe.groups,
             .top_groups = moe.top_groups,
             .scoring = moe.scoring,
             .group_score = moe.group_score,
             .normalize = moe.normalize,
             .scale = static_cast<float>(moe.scale)};
  pass.on.Run(pass.on.table().route, s.route);
  s.permute = {.experts = s.route.experts,
               .offsets = pass.offsets ? pass.offsets + layer * (moe.experts + 1)
                                       : pass.arena.NewArray<int32_t>(moe.experts + 1),
               .token_of = pass.arena.NewArray<int32_t>(n * moe.experts_per_token),
               .row_of = pass.arena.NewArray<int32_t>(n * moe.experts_per_token),
               .n = n,
               .k = moe.experts_per_token,
               .e = moe.experts};
  pass.on.Run(pass.on.table().permute, s.permute);
}

void Transformer::FeedForwardBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                                      const Matrix& dx) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const Matrix dffn_in = pass.New(config_.hidden);
  if (w.gate_up.offset >= 0) {
    const Matrix dactivated = pass.New(w.down.cols);
    const Matrix dgate_up = pass.New(w.gate_up.rows);
    ops::LinearBackward(pass.on, s.activated, pass.Weight(w.down), dx, dactivated,
                        pass.Gradient(w.down));
    ops::BiasBackward(pass.on, dx, pass.BiasGradient(w.down_bias));
    ops::SwigluBackward(pass.on, s.gate_up, dactivated, dgate_up);
    ops::LinearBackward(pass.on, s.ffn_in, pass.Weight(w.gate_up), dgate_up, dffn_in,
                        pass.Gradient(w.gate_up));
    ops::BiasBackward(pass.on, dgate_up, pass.BiasGradient(w.gate_up_bias));
  }
  if (w.router.offset >= 0) RoutedBackward(pass, layer, s, dx, dffn_in);
  ops::RmsNormBackward(pass.on, s.middle, pass.Weight(w.ffn_norm), s.ffn_rstd, dffn_in, dx,
                       pass.Gradient(w.ffn_norm), dx);
}

// Adds the routed experts' part to dffn_in, or writes it when there is no shared expert.
void Transformer::RoutedBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                                 const Matrix& dout, const Matrix& dffn_in) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig::Moe& moe = config_.moe;
  const int64_t n = pass.tokens();
  const int64_t k = moe.experts_per_token;
  const auto new_routed = [&](int64_t cols) {
    return pass.arena.NewMatrix(n * k, cols, pass.dtype());
  };
  const Matrix drouted_out = new_routed(config_.hidden);
  float* dweights = pass.arena.NewArray<float>(n * k);
  pass.on.Run(pass.on.table().combine_backward,
              kernels::CombineBackwardArgs{.y = s.routed_out.data,
                                           .row_of = s.permute.row_of,
                                           .weights = s.route.weights,
                                           .dout = dout.data,
                                           .dy = drouted_out.data,
                                           .dweights = dweights,
                                           .n = n,
                                           .k = k,
                                           .c = config_.hidden,
                                           .dtype = pass.dtype()});
  const Matrix dactivated = new_routed(moe.width);
  const Matrix dgate_up = new_routed(2 * moe.width);
  const Matrix drouted_in = new_routed(config_.hidden);
  ops::ExpertLinearBackward(pass.on, s.routed_activated, pass.Weight(w.expert_down),
                            s.permute.offsets, moe.experts, drouted_out, dactivated,
                            pass.Gradient(w.expert_down));
  ops::SwigluBackward(pass.on, s.routed_gate_up, dactivated, dgate_up);
  ops::ExpertLinearBackward(pass.on, s.routed_in, pass.Weight(w.expert_gate_up), s.permute.offsets,
                            moe.experts, dgate_up, drouted_in, pass.Gradient(w.expert_gate_up));
  pass.on.Run(pass.on.table().combine,
              kernels::CombineArgs{.y = drouted_in.data,
                                   .row_of = s.permute.row_of,
                                   .weights = nullptr,
                                   .add = w.gate_up.offset >= 0 ? dffn_in.data : nullptr,
                                   .out = dffn_in.data,
                                   .n = n,
                                   .k = k,
                                   .c = config_.hidden,
                                   .dtype = pass.dtype()});

  float* balance = nullptr;
  int32_t* sequence_of = nullptr;
  if (pass.balance_alpha > 0) {
    const int64_t sequences = pass.batch.sequences();
    balance = pass.arena.NewArray<float>(sequences * moe.experts);
    sequence_of = pass.arena.NewArray<int32_t>(n);
    pass.on.Run(pass.on.table().sequence_balance,
                kernels::SequenceBalanceArgs{.scores = s.route.scores,
                                             .q_start = pass.arrays.q_start,
                                             .gradient = balance,
                                             .sequence_of = sequence_of,
                                             .sequences = sequences,
                                             .e = moe.experts,
                                             .k = k,
                                             .alpha = pass.balance_alpha});
  }
  const Matrix dlogits32 = pass.arena.NewMatrix(n, moe.experts, DType::kF32);
  pass.on.Run(pass.on.table().route_backward,
              kernels::RouteBackwardArgs{.forward = s.route,
                                         .dweights = dweights,
                                         .balance = balance,
                                         .sequence_of = sequence_of,
                                         .dlogits = dlogits32.f32()});
  Matrix dlogits = dlogits32;
  if (pass.dtype() != DType::kF32) {
    dlogits = pass.New(moe.experts);
    pass.on.Run(pass.on.table().cast, kernels::CastArgs{.x = dlogits32.data,
                                                        .y = dlogits.data,
                                                        .n = n * moe.experts,
                                                        .from = DType::kF32,
                                                        .to = pass.dtype()});
  }
  ops::LinearBackward(pass.on, s.ffn_in, pass.Weight(w.router), dlogits, dffn_in,
                      pass.Gradient(w.router), dffn_in);
}

}  // namespace hone
