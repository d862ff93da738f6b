#pragma once

#include "libs/model/config.h"

namespace hone::testing {

// Some hundred thousand parameters, with experts: several chunks, several segments, biases.
inline ModelConfig Tiny() {
  return ParseModelConfig(R"({"model_type":"deepseek_v3","hidden_size":512,"num_hidden_layers":2,
      "num_attention_heads":4,"kv_lora_rank":64,"qk_nope_head_dim":16,"qk_rope_head_dim":8,"v_head_dim":16,
      "first_k_dense_replace":1,"intermediate_size":512,"moe_intermediate_size":64,"n_routed_experts":4,
      "num_experts_per_tok":2,"n_shared_experts":1,"vocab_size":300,"tie_word_embeddings":false})")
      .value();
}

}  // namespace hone::testing
