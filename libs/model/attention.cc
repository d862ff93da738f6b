// Multi-head latent attention in absorbed form, and grouped-query attention: forward and backward.
//
// Absorbed: the key projection is applied to the query and the value projection to the result, so
// that all heads read one latent row per token, the same in the engine's cache and in training.
// That one form is used everywhere, which is what makes a rollout's logprobs the learner's, bit for
// bit. Its price in training is scores over kv_lora_rank + rope_dim instead of nope_dim + rope_dim
// channels.

#include "libs/model/pass.h"
#include "libs/ops/embedding.h"
#include "libs/ops/linear.h"
#include "libs/ops/rms_norm.h"

namespace hone {

using kernels::GemmArgs;
using kernels::Layout;

kernels::AttentionArgs Transformer::AttentionOf(const Pass& pass, int64_t layer,
                                                const SavedBlock& s) const {
  const Matrix keys = pass.cache ? pass.cache->Layer(layer) : s.kv;
  const bool mla = config_.attention == ModelConfig::Attention::kMla;
  return {.q = s.query.data,
          .k = keys.data,
          .v = mla ? keys.data : keys.at(0, config_.kv_heads * config_.head_dim),
          .out = s.attended.data,
          .lse = s.lse,
          .q_start = pass.arrays.q_start,
          .kv_start = pass.arrays.kv_start,
          .kv_rows = pass.arrays.kv_rows,
          .max_q_len = pass.batch.MaxQLen(),
          .max_kv_len = pass.batch.MaxKvLen(),
          .total_kv_len = static_cast<int64_t>(pass.batch.kv_rows.size()),
          .sequences = pass.batch.sequences(),
          .heads = config_.heads,
          .kv_heads = config_.kv_heads,
          .d = config_.query_dim(),
          .dv = config_.value_dim(),
          .ldq = s.query.ld,
          .ldk = keys.ld,
          .ldv = keys.ld,
          .head_v = config_.value_dim(),
          .scale = static_cast<float>(config_.softmax_scale()),
          .dtype = pass.dtype()};
}

void Transformer::Attention(const Pass& pass, int64_t layer, SavedBlock& s, const Matrix& x,
                            const Matrix& out) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig& c = config_;
  s.attention_rstd = pass.NewRstd();
  s.attention_in = pass.New(c.hidden);
  ops::RmsNorm(pass.on, x, pass.Weight(w.attention_norm), static_cast<float>(c.norm_eps),
               s.attention_in, s.attention_rstd);
  s.projected = pass.New(w.input.rows);
  ops::Linear(pass.on, s.attention_in, pass.Weight(w.input), s.projected, {},
              pass.Bias(w.input_bias));
  const bool mla = c.attention == ModelConfig::Attention::kMla;
  mla ? ProjectMla(pass, layer, s) : ProjectGqa(pass, layer, s);
  if (pass.cache) ops::ScatterRows(pass.on, s.kv, pass.arrays.cache_rows, pass.cache->Layer(layer));

  s.attended = pass.New(c.heads * c.value_dim());
  s.lse = pass.NewRstd(c.heads);
  pass.on.Run(pass.on.table().attention, AttentionOf(pass, layer, s));
  s.output_in = s.attended;
  if (mla) {  // per head: output_in_h = attended_h Wv_h^T
    s.output_in = pass.New(c.heads * c.v_dim);
    const Matrix kv_b = pass.Weight(w.kv_b);
    pass.on.Run(pass.on.table().gemm, GemmArgs{.a = s.attended.data,
                                               .b = kv_b.at(c.nope_dim, 0),
                                               .c = s.output_in.data,
                                               .m = pass.tokens(),
                                               .n = c.v_dim,
                                               .k = c.kv_lora_rank,
                                               .lda = s.attended.ld,
                                               .ldb = kv_b.ld,
                                               .ldc = s.output_in.ld,
                                               .batch = c.heads,
                                               .stride_a = c.kv_lora_rank,
                                               .stride_b = (c.nope_dim + c.v_dim) * kv_b.ld,
                                               .stride_c = c.v_dim,
                                               .layout = Layout::kNT,
                                               .dtype = pass.dtype(),
                                               .c_dtype = pass.dtype()});
  }
  ops::Linear(pass.on, s.output_in, pass.Weight(w.output), out, x, pass.Bias(w.output_bias));
}

void Transformer::ProjectMla(const Pass& pass, int64_t layer, SavedBlock& s) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig& c = config_;
  const auto eps = static_cast<float>(c.lora_norm_eps);
  const int32_t* positions = pass.arrays.positions;
  const int64_t qk = c.nope_dim + c.rope_dim;
  const int64_t latent = w.input.rows - c.kv_lora_rank - c.rope_dim;  // column where c begins
  if (c.q_lora_rank > 0) {
    s.q_a_rstd = pass.NewRstd();
    s.q_a = pass.New(c.q_lora_rank);
    ops::RmsNorm(pass.on, s.projected.Cols(0, c.q_lora_rank), pass.Weight(w.q_a_norm), eps, s.q_a,
                 s.q_a_rstd);
    s.q_full = pass.New(c.heads * qk);
    ops::Linear(pass.on, s.q_a, pass.Weight(w.q_b), s.q_full);
  } else {
    s.q_full = s.projected.Cols(0, latent);
  }
  s.kv = pass.New(c.kv_width());
  s.kv_a_rstd = pass.NewRstd();
  ops::RmsNorm(pass.on, s.projected.Cols(latent, c.kv_lora_rank), pass.Weight(w.kv_a_norm), eps,
               s.kv.Cols(0, c.kv_lora_rank), s.kv_a_rstd);
  ops::Rope(pass.on, rope_, positions, s.projected.Cols(latent + c.kv_lora_rank, c.rope_dim),
            c.rope_dim, s.kv.Cols(c.kv_lora_rank, c.rope_dim), c.rope_dim, 1);

  const int64_t wide = c.query_dim();
  s.query = pass.New(c.heads * wide);
  const Matrix kv_b = pass.Weight(w.kv_b);
  // Per head: query_h = [q_nope_h Wk_h | rope(q_rope_h)].
  pass.on.Run(pass.on.table().gemm, GemmArgs{.a = s.q_full.data,
                                             .b = kv_b.data,
                                             .c = s.query.data,
                                             .m = pass.tokens(),
                                             .n = c.kv_lora_rank,
                                             .k = c.nope_dim,
                                             .lda = s.q_full.ld,
                                             .ldb = kv_b.ld,
                                             .ldc = s.query.ld,
                                             .batch = c.heads,
                                             .stride_a = qk,
                                             .stride_b = (c.nope_dim + c.v_dim) * kv_b.ld,
                                             .stride_c = wide,
                                             .layout = Layout::kNN,
                                             .dtype = pass.dtype(),
                                             .c_dtype = pass.dtype()});
  ops::Rope(pass.on, rope_, positions, s.q_full.Cols(c.nope_dim, c.rope_dim), qk,
            s.query.Cols(c.kv_lora_rank, c.rope_dim), wide, c.heads);
}

void Transformer::ProjectGqa(const Pass& pass, int64_t layer, SavedBlock& s) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig& c = config_;
  const int32_t* positions = pass.arrays.positions;
  const int64_t q_dim = c.heads * c.head_dim;
  const int64_t k_dim = c.kv_heads * c.head_dim;
  s.query = s.projected.Cols(0, q_dim);
  s.kv = s.projected.Cols(q_dim, 2 * k_dim);
  if (c.qk_norm) {
    // Out of place: the norms' backward passes need what came in.
    s.q_raw = s.query;
    s.k_raw = s.kv.Cols(0, k_dim);
    const Matrix v = s.kv.Cols(k_dim, k_dim);
    s.query = pass.New(q_dim);
    s.kv = pass.New(2 * k_dim);
    s.q_rstd = pass.NewRstd(c.heads);
    s.k_rstd = pass.NewRstd(c.kv_heads);
    const auto eps = static_cast<float>(c.norm_eps);
    ops::RmsNorm(pass.on, s.q_raw, pass.Weight(w.q_norm), eps, s.query, s.q_rstd, c.heads);
    ops::RmsNorm(pass.on, s.k_raw, pass.Weight(w.k_norm), eps, s.kv.Cols(0, k_dim), s.k_rstd,
                 c.kv_heads);
    ops::CopyRows(pass.on, v, s.kv.Cols(k_dim, k_dim));
  }
  ops::Rope(pass.on, rope_, positions, s.query, c.head_dim, s.query, c.head_dim, c.heads);
  const Matrix k = s.kv.Cols(0, k_dim);
  ops::Rope(pass.on, rope_, positions, k, c.head_dim, k, c.head_dim, c.kv_heads);
}

void Transformer::AttentionBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                                    const Matrix& dx) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig& c = config_;
  const bool mla = c.attention == ModelConfig::Attention::kMla;
  const Matrix doutput_in = pass.New(c.heads * c.v_dim);
  ops::LinearBackward(pass.on, s.output_in, pass.Weight(w.output), dx, doutput_in,
                      pass.Gradient(w.output));
  ops::BiasBackward(pass.on, dx, pass.BiasGradient(w.output_bias));
  Matrix dattended = doutput_in;
  if (mla) {
    const Matrix kv_b = pass.Weight(w.kv_b);
    dattended = pass.New(c.heads * c.kv_lora_rank);
    GemmArgs gemm{.a = doutput_in.data,
                  .b = kv_b.at(c.nope_dim, 0),
                  .c = dattended.data,
                  .m = pass.tokens(),
                  .n = c.kv_lora_rank,
                  .k = c.v_dim,
                  .lda = doutput_in.ld,
                  .ldb = kv_b.ld,
                  .ldc = dattended.ld,
                  .batch = c.heads,
                  .stride_a = c.v_dim,
                  .stride_b = (c.nope_dim + c.v_dim) * kv_b.ld,
                  .stride_c = c.kv_lora_rank,
                  .layout = Layout::kNN,
                  .dtype = pass.dtype(),
                  .c_dtype = pass.dtype()};
    pass.on.Run(pass.on.table().gemm, gemm);
    if (const Matrix dkv_b = pass.Gradient(w.kv_b); !dkv_b.empty()) {
      // dWv_h += doutput_in_h^T attended_h
      gemm.b = s.attended.data;
      gemm.c = dkv_b.at(c.nope_dim, 0);
      gemm.add = gemm.c;
      gemm.m = c.v_dim;
      gemm.k = pass.tokens();
      gemm.ldb = s.attended.ld;
      gemm.ldc = dkv_b.ld;
      gemm.stride_b = c.kv_lora_rank;
      gemm.stride_c = (c.nope_dim + c.v_dim) * dkv_b.ld;
      gemm.layout = Layout::kTN;
      gemm.c_dtype = DType::kF32;
      pass.on.Run(pass.on.table().gemm, gemm);
    }
  }

  const Matrix dquery = pass.New(c.heads * c.query_dim());
  const Matrix dkv32 = pass.arena.NewMatrix(pass.tokens(), c.kv_width(), DType::kF32);
  pass.on.Zero(dkv32.data, dkv32.rows * dkv32.cols * 4);
  kernels::AttentionArgs forward = AttentionOf(pass, layer, s);
  pass.on.Run(pass.on.table().attention_backward,
              kernels::AttentionBackwardArgs{
                  .forward = forward,
                  .dout = dattended.data,
                  .dq = dquery.data,
                  .dk = dkv32.f32(),
                  .dv = mla ? dkv32.f32() : dkv32.f32() + c.kv_heads * c.head_dim,
                  .lddq = dquery.ld,
                  .lddk = dkv32.ld,
                  .lddv = dkv32.ld,
                  .cluster_start = pass.arrays.cluster_start,
                  .clusters = static_cast<int64_t>(pass.batch.cluster_start.size()) - 1});
  Matrix dkv = dkv32;
  if (pass.dtype() != DType::kF32) {
    dkv = pass.New(c.kv_width());
    pass.on.Run(pass.on.table().cast, kernels::CastArgs{.x = dkv32.data,
                                                        .y = dkv.data,
                                                        .n = dkv.rows * dkv.cols,
                                                        .from = DType::kF32,
                                                        .to = pass.dtype()});
  }
  const Matrix dprojected = pass.New(w.input.rows);
  mla ? ProjectMlaBackward(pass, layer, s, dquery, dkv, dprojected)
      : ProjectGqaBackward(pass, layer, s, dquery, dkv, dprojected);
  const Matrix dattention_in = pass.New(c.hidden);
  ops::LinearBackward(pass.on, s.attention_in, pass.Weight(w.input), dprojected, dattention_in,
                      pass.Gradient(w.input));
  ops::BiasBackward(pass.on, dprojected, pass.BiasGradient(w.input_bias));
  ops::RmsNormBackward(pass.on, s.x, pass.Weight(w.attention_norm), s.attention_rstd, dattention_in,
                       dx, pass.Gradient(w.attention_norm), dx);
}

void Transformer::ProjectMlaBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                                     const Matrix& dquery, const Matrix& dkv,
                                     const Matrix& dprojected) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig& c = config_;
  const int32_t* positions = pass.arrays.positions;
  const int64_t qk = c.nope_dim + c.rope_dim;
  const int64_t wide = c.query_dim();
  const int64_t latent = w.input.rows - c.kv_lora_rank - c.rope_dim;
  const Matrix dq_full =
      c.q_lora_rank > 0 ? pass.New(c.heads * qk) : dprojected.Cols(0, c.heads * qk);
  ops::Rope(pass.on, rope_, positions, dquery.Cols(c.kv_lora_rank, c.rope_dim), wide,
            dq_full.Cols(c.nope_dim, c.rope_dim), qk, c.heads, /*inverse=*/true);
  const Matrix kv_b = pass.Weight(w.kv_b);
  GemmArgs gemm{.a = dquery.data,
                .b = kv_b.data,
                .c = dq_full.data,
                .m = pass.tokens(),
                .n = c.nope_dim,
                .k = c.kv_lora_rank,
                .lda = dquery.ld,
                .ldb = kv_b.ld,
                .ldc = dq_full.ld,
                .batch = c.heads,
                .stride_a = wide,
                .stride_b = (c.nope_dim + c.v_dim) * kv_b.ld,
                .stride_c = qk,
                .layout = Layout::kNT,
                .dtype = pass.dtype(),
                .c_dtype = pass.dtype()};
  pass.on.Run(pass.on.table().gemm, gemm);
  if (const Matrix dkv_b = pass.Gradient(w.kv_b); !dkv_b.empty()) {
    // dWk_h += q_nope_h^T dquery_h
    gemm.a = s.q_full.data;
    gemm.b = dquery.data;
    gemm.c = dkv_b.data;
    gemm.add = gemm.c;
    gemm.m = c.nope_dim;
    gemm.n = c.kv_lora_rank;
    gemm.k = pass.tokens();
    gemm.lda = s.q_full.ld;
    gemm.ldb = dquery.ld;
    gemm.ldc = dkv_b.ld;
    gemm.stride_a = qk;
    gemm.stride_b = wide;
    gemm.stride_c = (c.nope_dim + c.v_dim) * dkv_b.ld;
    gemm.layout = Layout::kTN;
    gemm.c_dtype = DType::kF32;
    pass.on.Run(pass.on.table().gemm, gemm);
  }
  if (c.q_lora_rank > 0) {
    const Matrix dq_a = pass.New(c.q_lora_rank);
    ops::LinearBackward(pass.on, s.q_a, pass.Weight(w.q_b), dq_full, dq_a, pass.Gradient(w.q_b));
    ops::RmsNormBackward(pass.on, s.projected.Cols(0, c.q_lora_rank), pass.Weight(w.q_a_norm),
                         s.q_a_rstd, dq_a, dprojected.Cols(0, c.q_lora_rank),
                         pass.Gradient(w.q_a_norm));
  }
  ops::RmsNormBackward(pass.on, s.projected.Cols(latent, c.kv_lora_rank), pass.Weight(w.kv_a_norm),
                       s.kv_a_rstd, dkv.Cols(0, c.kv_lora_rank),
                       dprojected.Cols(latent, c.kv_lora_rank), pass.Gradient(w.kv_a_norm));
  ops::Rope(pass.on, rope_, positions, dkv.Cols(c.kv_lora_rank, c.rope_dim), c.rope_dim,
            dprojected.Cols(latent + c.kv_lora_rank, c.rope_dim), c.rope_dim, 1, /*inverse=*/true);
}

void Transformer::ProjectGqaBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                                     const Matrix& dquery, const Matrix& dkv,
                                     const Matrix& dprojected) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig& c = config_;
  const int32_t* positions = pass.arrays.positions;
  const int64_t q_dim = c.heads * c.head_dim;
  const int64_t k_dim = c.kv_heads * c.head_dim;
  const Matrix dk = dkv.Cols(0, k_dim);
  const Matrix dprojected_q = dprojected.Cols(0, q_dim);
  const Matrix dprojected_k = dprojected.Cols(q_dim, k_dim);
  const Matrix dq_to = c.qk_norm ? dquery : dprojected_q;
  const Matrix dk_to = c.qk_norm ? dk : dprojected_k;
  ops::Rope(pass.on, rope_, positions, dquery, c.head_dim, dq_to, c.head_dim, c.heads, true);
  ops::Rope(pass.on, rope_, positions, dk, c.head_dim, dk_to, c.head_dim, c.kv_heads, true);
  if (c.qk_norm) {
    ops::RmsNormBackward(pass.on, s.q_raw, pass.Weight(w.q_norm), s.q_rstd, dquery, dprojected_q,
                         pass.Gradient(w.q_norm), {}, c.heads);
    ops::RmsNormBackward(pass.on, s.k_raw, pass.Weight(w.k_norm), s.k_rstd, dk, dprojected_k,
                         pass.Gradient(w.k_norm), {}, c.kv_heads);
  }
  ops::CopyRows(pass.on, dkv.Cols(k_dim, k_dim), dprojected.Cols(q_dim + k_dim, k_dim));
}

}  // namespace hone
