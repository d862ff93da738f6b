#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/kernels.h"

namespace hone {

// One transformer of the DeepSeek, Llama or Qwen families, in the terms of its Hugging Face
// config.json.
struct ModelConfig {
  enum class Attention { kMla, kGqa };

  // Long-context scaling of the rotary frequencies (models.md 1.7).
  struct Rope {
    enum class Kind { kDefault, kLinear, kLlama3, kYarn };
    Kind kind = Kind::kDefault;
    double theta = 10000;
    double factor = 1;
    int64_t original_positions = 0;
    double low_freq_factor = 1, high_freq_factor = 4;  // llama3
    double beta_fast = 32, beta_slow = 1;              // yarn
    double mscale = 0, mscale_all_dim = 0;             // yarn; 0: absent
    double attention_factor = 0;                       // yarn; 0: computed
    bool truncate = true;                              // yarn
  };

  struct Moe {
    int64_t experts = 0;  // 0: every layer is dense
    int64_t experts_per_token = 0;
    int64_t width = 0;         // of one expert
    int64_t shared_width = 0;  // of the fused shared expert; 0: none
    int64_t groups = 1, top_groups = 1;
    kernels::Scoring scoring = kernels::Scoring::kSigmoid;
    kernels::GroupScore group_score = kernels::GroupScore::kTopTwoSum;
    bool normalize = true;
    double scale = 1;
    bool has_bias = false;  // e_score_correction_bias
  };

  std::string model_type;  // as in config.json
  Attention attention = Attention::kGqa;
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t mtp_layers = 0;  // multi-token prediction layers behind them: carried through, not used
  int64_t heads = 0;
  int64_t kv_heads = 0;                           // MLA: 1 latent head
  int64_t head_dim = 0;                           // GQA
  int64_t q_lora_rank = 0;                        // MLA; 0: plain q_proj
  int64_t kv_lora_rank = 0;                       // MLA
  int64_t nope_dim = 0, rope_dim = 0, v_dim = 0;  // MLA, per head; GQA: rope_dim = head_dim = v_dim
  bool qk_norm = false;                           // Qwen3
  bool input_bias = false;                        // of q, k and v: Qwen2, or attention_bias
  bool output_bias = false;                       // of o: attention_bias
  bool mlp_bias = false;                          // of gate, up and down
  int64_t dense_width = 0;
  std::vector<bool> sparse;  // [layers] whether the layer's feed-forward is a mixture of experts
  Moe moe;
  int64_t vocab = 0;  // rows of the embedding
  bool tied = false;  // the head is the embedding
  double norm_eps = 1e-6;
  double lora_norm_eps = 1e-6;  // of q_a_layernorm and kv_a_layernorm (models.md 1.5)
  bool rope_interleaved = false;
  Rope rope;
  int64_t max_positions = 0;
  std::vector<int32_t> eos_ids;

  // Width of a row of the key/value cache, and of the key and value of one head in it.
  int64_t kv_width() const {
    return attention == Attention::kMla ? kv_lora_rank + rope_dim : 2 * kv_heads * head_dim;
  }
  int64_t query_dim() const {
    return attention == Attention::kMla ? kv_lora_rank + rope_dim : head_dim;
  }
  int64_t value_dim() const { return attention == Attention::kMla ? kv_lora_rank : head_dim; }
  // Softmax scale, YaRN's factor for MLA included.
  double softmax_scale() const;
  // Elements of all parameters (routing biases left out), exact below 2^53; `active`: of those that
  // one token is multiplied by, its chosen experts only.
  double ParameterCount(bool active = false) const;
  // Floating-point operations of a forward pass per token, attention scores at `context` keys
  // included.
  double ForwardFlops(double context) const;
  // And of a backward pass behind it, without what that computes again. MLA: forward in absorbed,
  // backward in expanded form.
  double TrainingFlops(double context) const;
};

// Parses config.json of any source. INVALID_ARGUMENT names the field and the value: unknown
// architectures, sliding windows and other things that would silently change the model are refused,
// and so are sizes whose products do not fit 63 bits. UNIMPLEMENTED: a quantisation that cannot be
// read.
absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view json);

// Rotary frequencies of the pairs, and the factor on cos and sin.
struct RopeFrequencies {
  std::vector<double> inv_freq;
  double attention_factor = 1;
};
RopeFrequencies ComputeRopeFrequencies(const ModelConfig& config);

}  // namespace hone
