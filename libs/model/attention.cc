// Multi-head latent attention and grouped-query attention: forward and backward.
//
// MLA's forward is in absorbed form: the key projection is applied to the query and the value
// projection to the result, so that all heads read one latent row per token, the same in the
// engine's cache and in training. That one form is used everywhere, which is what makes a rollout's
// logprobs the learner's, bit for bit; its price in training is scores over kv_lora_rank + rope_dim
// instead of nope_dim + rope_dim channels. Backward owes no bits to a rollout and is in expanded
// form: keys and values of every head are made from the latent rows, and a pair of query and key
// costs a third of the products.

#include "libs/model/pass.h"
#include "libs/ops/embedding.h"
#include "libs/ops/linear.h"
#include "libs/ops/rms_norm.h"

namespace hone {

using kernels::GemmArgs;
using kernels::Layout;

// q [N, H d], k [*, kv_heads d] and v [*, kv_heads dv] as `out` [N, H dv] attends to them.
kernels::AttentionArgs Transformer::AttentionOf(const Pass& pass, const Matrix& q, const Matrix& k,
                                                const Matrix& v, const Matrix& out,
                                                float* lse) const {
  const int64_t d = q.cols / config_.heads, dv = out.cols / config_.heads;
  return {.q = q.data,
          .k = k.data,
          .v = v.data,
          .out = out.data,
          .lse = lse,
          .q_start = pass.arrays.q_start,
          .kv_start = pass.arrays.kv_start,
          .kv_rows = pass.arrays.kv_rows,
          .max_q_len = pass.batch.MaxQLen(),
          .max_kv_len = pass.batch.MaxKvLen(),
          .total_kv_len = static_cast<int64_t>(pass.batch.kv_rows.size()),
          .sequences = pass.batch.sequences(),
          .heads = config_.heads,
          .kv_heads = k.cols / d,
          .d = d,
          .dv = dv,
          .ldq = q.ld,
          .ldk = k.ld,
          .ldv = v.ld,
          .head_v = dv,
          .scale = static_cast<float>(config_.softmax_scale()),
          .dtype = pass.dtype()};
}

// Per head: the beginning of out_h = x_h B_h (kNN) or x_h B_h^T (kNT), where B_h are the rows
// [first, first + rows) of kv_b's head h. x and out have a part for each head; an x that is no
// wider than the product needs is every head's.
void Transformer::MultiplyKvB(const Pass& pass, int64_t layer, Layout layout, int64_t first,
                              int64_t rows, const Matrix& x, const Matrix& out) const {
  const ModelConfig& c = config_;
  const Matrix kv_b = pass.Weight(layout_.layers()[static_cast<size_t>(layer)].kv_b);
  const int64_t n = layout == Layout::kNT ? rows : c.kv_lora_rank;
  const int64_t k = layout == Layout::kNT ? c.kv_lora_rank : rows;
  pass.on.Run(pass.on.table().gemm, GemmArgs{.a = x.data,
                                             .b = kv_b.at(first, 0),
                                             .c = out.data,
                                             .m = pass.tokens(),
                                             .n = n,
                                             .k = k,
                                             .lda = x.ld,
                                             .ldb = kv_b.ld,
                                             .ldc = out.ld,
                                             .batch = c.heads,
                                             .stride_a = x.cols == k ? 0 : x.cols / c.heads,
                                             .stride_b = (c.nope_dim + c.v_dim) * kv_b.ld,
                                             .stride_c = out.cols / c.heads,
                                             .layout = layout,
                                             .dtype = pass.dtype(),
                                             .c_dtype = pass.dtype()});
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
  s.lse = pass.NewRstd(c.heads);
  s.output_in = pass.New(c.heads * c.v_dim);
  c.attention == ModelConfig::Attention::kMla ? AttentionMla(pass, layer, s)
                                              : AttentionGqa(pass, layer, s);
  ops::Linear(pass.on, s.output_in, pass.Weight(w.output), out, x, pass.Bias(w.output_bias));
}

void Transformer::AttentionMla(const Pass& pass, int64_t layer, SavedBlock& s) const {
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
  const Matrix keys = StoreKeys(pass, layer, s);

  // Not kept: backward has another form.
  const Arena::Mark mark = pass.arena.mark();
  const int64_t wide = c.query_dim();
  const Matrix query = pass.New(c.heads * wide), attended = pass.New(c.heads * c.kv_lora_rank);
  const Matrix q_rope = s.q_full.Cols(c.nope_dim, c.rope_dim);
  // Per head: query_h = [q_nope_h Wk_h | rope(q_rope_h)], output_in_h = attended_h Wv_h^T.
  MultiplyKvB(pass, layer, Layout::kNN, 0, c.nope_dim, s.q_full, query);
  ops::Rope(pass.on, rope_, positions, q_rope, qk, query.Cols(c.kv_lora_rank, c.rope_dim), wide,
            c.heads);
  pass.on.Run(pass.on.table().attention,
              AttentionOf(pass, query, keys, keys.Cols(0, c.kv_lora_rank), attended, s.lse));
  MultiplyKvB(pass, layer, Layout::kNT, c.nope_dim, c.v_dim, attended, s.output_in);
  pass.arena.Release(mark);
  if (pass.keep) ops::Rope(pass.on, rope_, positions, q_rope, qk, q_rope, qk, c.heads);
}

void Transformer::AttentionGqa(const Pass& pass, int64_t layer, SavedBlock& s) const {
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
  const Matrix keys = StoreKeys(pass, layer, s);
  pass.on.Run(pass.on.table().attention, AttentionOf(pass, s.query, keys.Cols(0, k_dim),
                                                     keys.Cols(k_dim, k_dim), s.output_in, s.lse));
}

// Where attention reads keys and values: the cache, which gets these, or what is here.
Matrix Transformer::StoreKeys(const Pass& pass, int64_t layer, const SavedBlock& s) const {
  if (pass.cache == nullptr) return s.kv;
  ops::ScatterRows(pass.on, s.kv, pass.arrays.cache_rows, pass.cache->Layer(layer));
  return pass.cache->Layer(layer);
}

void Transformer::AttentionBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                                    const Matrix& dx) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig& c = config_;
  const Matrix doutput_in = pass.New(c.heads * c.v_dim);
  ops::LinearBackward(pass.on, s.output_in, pass.Weight(w.output), dx, doutput_in,
                      pass.Gradient(w.output));
  ops::BiasBackward(pass.on, dx, pass.BiasGradient(w.output_bias));
  const Matrix dprojected = pass.New(w.input.rows);
  c.attention == ModelConfig::Attention::kMla ? MlaBackward(pass, layer, s, doutput_in, dprojected)
                                              : GqaBackward(pass, layer, s, doutput_in, dprojected);
  const Matrix dattention_in = pass.New(c.hidden);
  ops::LinearBackward(pass.on, s.attention_in, pass.Weight(w.input), dprojected, dattention_in,
                      pass.Gradient(w.input));
  ops::BiasBackward(pass.on, dprojected, pass.BiasGradient(w.input_bias));
  ops::RmsNormBackward(pass.on, s.x, pass.Weight(w.attention_norm), s.attention_rstd, dattention_in,
                       dx, pass.Gradient(w.attention_norm), dx);
}

// Returns the gradients of k and v, f32 side by side, and writes that of q.
Matrix Transformer::AttentionGradients(const Pass& pass, const SavedBlock& s, const Matrix& q,
                                       const Matrix& k, const Matrix& v, const Matrix& doutput_in,
                                       const Matrix& dq) const {
  const Matrix dkv = pass.arena.NewMatrix(pass.tokens(), k.cols + v.cols, DType::kF32);
  pass.on.Zero(dkv.data, dkv.rows * dkv.cols * 4);
  pass.on.Run(pass.on.table().attention_backward,
              kernels::AttentionBackwardArgs{
                  .forward = AttentionOf(pass, q, k, v, s.output_in, s.lse),
                  .dout = doutput_in.data,
                  .dq = dq.data,
                  .dk = dkv.f32(),
                  .dv = dkv.f32() + k.cols,
                  .lddq = dq.ld,
                  .lddk = dkv.ld,
                  .lddv = dkv.ld,
                  .cluster_start = pass.arrays.cluster_start,
                  .clusters = static_cast<int64_t>(pass.batch.cluster_start.size()) - 1});
  return dkv;
}

void Transformer::MlaBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                              const Matrix& doutput_in, const Matrix& dprojected) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig& c = config_;
  const int32_t* positions = pass.arrays.positions;
  const int64_t qk = c.nope_dim + c.rope_dim, rank = c.kv_lora_rank;
  const int64_t latent = w.input.rows - rank - c.rope_dim;
  const Matrix compressed = s.kv.Cols(0, rank);
  // Per head: k_h = [c Wk_h^T | rope(k_rope)], v_h = c Wv_h^T.
  const Matrix k = pass.New(c.heads * qk), v = pass.New(c.heads * c.v_dim);
  MultiplyKvB(pass, layer, Layout::kNT, 0, c.nope_dim, compressed, k);
  MultiplyKvB(pass, layer, Layout::kNT, c.nope_dim, c.v_dim, compressed, v);
  ops::Rope(pass.on, rope_, positions, s.projected.Cols(latent + rank, c.rope_dim), 0,
            k.Cols(c.nope_dim, c.rope_dim), qk, c.heads);

  const Matrix dq = c.q_lora_rank > 0 ? pass.New(c.heads * qk) : dprojected.Cols(0, c.heads * qk);
  const Matrix dkv32 = AttentionGradients(pass, s, s.q_full, k, v, doutput_in, dq);
  const Matrix dq_rope = dq.Cols(c.nope_dim, c.rope_dim);
  ops::Rope(pass.on, rope_, positions, dq_rope, qk, dq_rope, qk, c.heads, /*inverse=*/true);
  if (c.q_lora_rank > 0) {
    const Matrix dq_a = pass.New(c.q_lora_rank);
    ops::LinearBackward(pass.on, s.q_a, pass.Weight(w.q_b), dq, dq_a, pass.Gradient(w.q_b));
    ops::RmsNormBackward(pass.on, s.projected.Cols(0, c.q_lora_rank), pass.Weight(w.q_a_norm),
                         s.q_a_rstd, dq_a, dprojected.Cols(0, c.q_lora_rank),
                         pass.Gradient(w.q_a_norm));
  }

  const Matrix dkv = pass.New(c.heads * (c.nope_dim + c.v_dim));
  const Matrix dk_rope = dprojected.Cols(latent + rank, c.rope_dim);
  pass.on.Run(pass.on.table().mla_keys_backward,
              kernels::MlaKeysBackwardArgs{.dk = dkv32.f32(),
                                           .dv = dkv32.f32() + k.cols,
                                           .dkv = dkv.data,
                                           .drope = dk_rope.data,
                                           .n = pass.tokens(),
                                           .heads = c.heads,
                                           .nope = c.nope_dim,
                                           .rope = c.rope_dim,
                                           .value = c.v_dim,
                                           .lddk = dkv32.ld,
                                           .lddv = dkv32.ld,
                                           .ldo = dk_rope.ld,
                                           .dtype = pass.dtype()});
  ops::Rope(pass.on, rope_, positions, dk_rope, c.rope_dim, dk_rope, c.rope_dim, 1,
            /*inverse=*/true);
  const Matrix dcompressed = pass.New(rank);
  ops::LinearBackward(pass.on, compressed, pass.Weight(w.kv_b), dkv, dcompressed,
                      pass.Gradient(w.kv_b));
  ops::RmsNormBackward(pass.on, s.projected.Cols(latent, rank), pass.Weight(w.kv_a_norm),
                       s.kv_a_rstd, dcompressed, dprojected.Cols(latent, rank),
                       pass.Gradient(w.kv_a_norm));
}

void Transformer::GqaBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                              const Matrix& doutput_in, const Matrix& dprojected) const {
  const ParameterLayout::Layer& w = layout_.layers()[static_cast<size_t>(layer)];
  const ModelConfig& c = config_;
  const int32_t* positions = pass.arrays.positions;
  const int64_t q_dim = c.heads * c.head_dim;
  const int64_t k_dim = c.kv_heads * c.head_dim;
  const Matrix dprojected_q = dprojected.Cols(0, q_dim);
  const Matrix dprojected_k = dprojected.Cols(q_dim, k_dim);
  const Matrix dquery = c.qk_norm ? pass.New(q_dim) : dprojected_q;
  Matrix dkv = AttentionGradients(pass, s, s.query, s.kv.Cols(0, k_dim), s.kv.Cols(k_dim, k_dim),
                                  doutput_in, dquery);
  if (pass.dtype() != DType::kF32) {
    const Matrix dkv32 = dkv;
    dkv = pass.New(2 * k_dim);
    pass.on.Run(pass.on.table().cast, kernels::CastArgs{.x = dkv32.data,
                                                        .y = dkv.data,
                                                        .n = dkv.rows * dkv.cols,
                                                        .from = DType::kF32,
                                                        .to = pass.dtype()});
  }
  const Matrix dk = dkv.Cols(0, k_dim);
  const Matrix dk_to = c.qk_norm ? dk : dprojected_k;
  ops::Rope(pass.on, rope_, positions, dquery, c.head_dim, dquery, c.head_dim, c.heads, true);
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
