#pragma once

#include <cstdint>
#include <vector>

#include "libs/model/activation_checkpointing.h"
#include "libs/model/batch.h"
#include "libs/model/config.h"
#include "libs/model/kv_cache.h"
#include "libs/model/parameters.h"
#include "libs/ops/rope.h"
#include "libs/tensor/arena.h"
#include "libs/tensor/device.h"

namespace hone {

// What a block's forward pass keeps for its backward pass. All in the micro-batch's arena. What
// activation checkpointing forgets is empty in between.
struct SavedBlock {
  Matrix x;  // [N, D] residual stream at the block's start
  float* attention_rstd = nullptr;
  Matrix attention_in;  // [N, D] after the norm
  Matrix projected;     // [N, P] q|c|k_rope (MLA), q_a|c|k_rope (q_lora), q|k|v (GQA)
  float* q_a_rstd = nullptr;
  Matrix q_a;     // [N, rq] after its norm
  Matrix q_full;  // MLA: [N, H (dn + dr)], rotated; a view of projected without q_lora
  float* kv_a_rstd = nullptr;
  float* q_rstd = nullptr;  // Qwen3 head norms
  float* k_rstd = nullptr;
  Matrix q_raw, k_raw;   // Qwen3: before the head norms
  Matrix query;          // GQA: [N, H * head_dim], rotated
  Matrix kv;             // [N, kv_width]
  float* lse = nullptr;  // [N, H]
  Matrix output_in;      // [N, H * v_dim]
  Matrix middle;         // [N, D] residual stream after attention
  float* ffn_rstd = nullptr;
  Matrix ffn_in;               // [N, D]
  Matrix gate_up, activated;   // dense or shared expert
  kernels::RouteArgs route{};  // logits, scores, experts, weights
  kernels::PermuteArgs permute{};
  Matrix routed_in, routed_gate_up, routed_activated, routed_out;  // [R, ...]
};

struct SavedForward {
  ActivationCheckpointing checkpointing = ActivationCheckpointing::kNone;
  Batch::OnDevice arrays;
  std::vector<SavedBlock> blocks;
  int32_t* offsets = nullptr;  // [layers, E + 1] first routed row of each expert; dense layers: 0
  Matrix x;                    // [N, D] residual stream after the last block
  float* final_rstd = nullptr;
};

// Counts of routed tokens per expert and layer, summed over training passes: what the bias update
// and the load metrics need. [layers][experts], empty for dense layers.
using ExpertLoad = std::vector<std::vector<int64_t>>;

// The forward and backward passes of one decoder-only transformer, by hand. The engine and the
// learner run this same code on the same kernels; `saved == nullptr` is inference. With saved, keys
// and values are the batch's own rows; without, they are read from and written to `cache`. Holds no
// weights. Thread-safe: all methods are const and take the device and arena to work with, which are
// of the backend `table()`, as weights and cache are.
class Transformer {
 public:
  // Positions in [0, max_context) can be used; 0 means the configuration's max_positions.
  explicit Transformer(const ModelConfig& config, int64_t max_context = 0,
                       const LoraConfig& lora = {}, const kernels::Table& table = kernels::Cpu());

  const ModelConfig& config() const { return config_; }
  const ParameterLayout& layout() const { return layout_; }
  const kernels::Table& table() const { return rope_.values.table(); }
  int64_t max_context() const { return rope_.positions; }

  // Returns the hidden states [N, D] after the final norm, in `arena`. Everything else that
  // inference allocates is released. `arrays`: the batch's, uploaded. Where their places and
  // `batch`'s tokens and sequences are the same again, so are all calls to the device, so that they
  // can be recorded.
  Matrix Infer(const Device& on, Arena& arena, const Weights& weights, const Batch& batch,
               const Batch::OnDevice& arrays, KvCache& cache) const;
  // The same values, keeping what Backward needs, as far as `saved.checkpointing` says.
  Matrix Forward(const Device& on, Arena& arena, const Weights& weights, const Batch& batch,
                 SavedForward& saved) const;
  // Adds the gradients of layout().trained() to `gradients` (f32), given dhidden [N, D], which is
  // overwritten. balance_alpha: weight of the sequence-wise balance loss, already divided by
  // whatever the batch's loss is divided by; 0: off.
  void Backward(const Device& on, Arena& arena, const Weights& weights, const Batch& batch,
                const SavedForward& saved, const Matrix& dhidden, double balance_alpha,
                ParameterArena& gradients) const;
  // Adds what a forward pass routed where. Waits for the pass.
  void AddLoad(const Device& on, const SavedForward& saved, ExpertLoad& load) const;

 private:
  struct Pass;  // the arguments that every block needs

  void Attention(const Pass& pass, int64_t layer, SavedBlock& s, const Matrix& x,
                 const Matrix& out) const;
  // From s.projected to s.output_in.
  void AttentionMla(const Pass& pass, int64_t layer, SavedBlock& s) const;
  void AttentionGqa(const Pass& pass, int64_t layer, SavedBlock& s) const;
  Matrix StoreKeys(const Pass& pass, int64_t layer, const SavedBlock& s) const;
  // An empty `out` is not wanted: only what backward needs is computed.
  void FeedForward(const Pass& pass, int64_t layer, SavedBlock& s, const Matrix& x,
                   const Matrix& out) const;
  void Route(const Pass& pass, int64_t layer, SavedBlock& s) const;
  void AttentionBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                         const Matrix& dx) const;
  void MlaBackward(const Pass& pass, int64_t layer, const SavedBlock& s, const Matrix& doutput_in,
                   const Matrix& dprojected) const;
  void GqaBackward(const Pass& pass, int64_t layer, const SavedBlock& s, const Matrix& doutput_in,
                   const Matrix& dprojected) const;
  Matrix AttentionGradients(const Pass& pass, const SavedBlock& s, const Matrix& q, const Matrix& k,
                            const Matrix& v, const Matrix& doutput_in, const Matrix& dq) const;
  void FeedForwardBackward(const Pass& pass, int64_t layer, const SavedBlock& s,
                           const Matrix& dx) const;
  void RoutedBackward(const Pass& pass, int64_t layer, const SavedBlock& s, const Matrix& dout,
                      const Matrix& dffn_in) const;
  kernels::AttentionArgs AttentionOf(const Pass& pass, const Matrix& q, const Matrix& k,
                                     const Matrix& v, const Matrix& out, float* lse) const;
  void MultiplyKvB(const Pass& pass, int64_t layer, kernels::Layout layout, int64_t first,
                   int64_t rows, const Matrix& x, const Matrix& out) const;

  const ModelConfig config_;
  const ParameterLayout layout_;
  const ops::RopeTable rope_;
};

}  // namespace hone
