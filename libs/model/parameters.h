#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/model/config.h"
#include "libs/tensor/arena.h"
#include "libs/tensor/matrix.h"

namespace hone {

// What a parameter is, for the optimiser.
enum class ParameterRole : uint8_t {
  kMatrix,  // a matrix inside a block: Muon may have it
  kEmbedding,
  kHead,
  kRouter,
  kNorm,  // a vector of scales
  kBias,  // a vector of offsets
};

// One tensor under its Hugging Face name, [rows, cols] (a vector is one row) at `offset` elements.
struct Parameter {
  std::string name;
  int64_t rows;
  int64_t cols;
  int64_t offset;
  ParameterRole role;
  int64_t size() const { return rows * cols; }
  // Stored with one dimension.
  bool is_vector() const { return role == ParameterRole::kNorm || role == ParameterRole::kBias; }
};

// Where every parameter lies in one flat arena. Tensors that are multiplied together lie together
// (q with kv_a; gate with up; all experts' gate|up; all experts' down), so that a fused product is
// a view. A pure function of the configuration. Immutable after construction.
class ParameterLayout {
 public:
  explicit ParameterLayout(const ModelConfig& config);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  int64_t size() const { return size_; }  // elements
  // e_score_correction_bias of every sparse layer: f32, outside the arena, no gradient.
  const std::vector<Parameter>& biases() const { return biases_; }
  int64_t bias_size() const { return bias_size_; }

  struct Span {
    int64_t offset = -1;  // elements; -1: the layer has none
    int64_t rows = 0;
    int64_t cols = 0;
  };
  struct Layer {
    Span attention_norm, ffn_norm;
    Span input;                    // MLA: q_proj|kv_a or q_a|kv_a;  GQA: q|k|v
    Span q_a_norm, q_b;            // MLA with q_lora_rank
    Span kv_a_norm, kv_b;          // MLA
    Span q_norm, k_norm;           // Qwen3
    Span output;                   // o_proj
    Span input_bias, output_bias;  // Qwen2 (input only), Llama with attention_bias
    Span gate_up, down;            // dense feed-forward, or the shared expert
    Span gate_up_bias, down_bias;  // Llama with mlp_bias
    Span router, expert_gate_up, expert_down;
    int64_t bias = -1;  // offset into the biases
  };
  const std::vector<Layer>& layers() const { return layers_; }
  Span embedding() const { return embedding_; }
  Span final_norm() const { return final_norm_; }
  Span head() const { return head_; }  // the embedding when tied

 private:
  Span Add(std::string name, int64_t rows, int64_t cols, ParameterRole role);
  void AddAttention(const ModelConfig& config, const std::string& prefix, Layer& layer);
  void AddFeedForward(const ModelConfig& config, bool sparse, const std::string& prefix,
                      Layer& layer);

  std::vector<Parameter> parameters_;
  std::vector<Parameter> biases_;
  std::vector<Layer> layers_;
  Span embedding_, final_norm_, head_;
  int64_t size_ = 0;
  int64_t bias_size_ = 0;
};

// Values for a layout: weights in the compute dtype, or gradients and moments in f32.
class ParameterArena {
 public:
  ParameterArena(int64_t size, DType dtype)
      : dtype_(dtype), buffer_(size * BytesOf(dtype)), size_(size) {}

  DType dtype() const { return dtype_; }
  int64_t size() const { return size_; }
  int64_t bytes() const { return buffer_.bytes(); }
  void* data() const { return buffer_.data(); }
  Matrix View(const ParameterLayout::Span& s) const {
    HONE_CHECK(s.offset >= 0);
    return {static_cast<char*>(data()) + s.offset * BytesOf(dtype_), s.rows, s.cols, s.cols,
            dtype_};
  }
  Matrix View(const Parameter& p) const {
    return View(ParameterLayout::Span{p.offset, p.rows, p.cols});
  }

 private:
  DType dtype_;
  Memory buffer_;
  int64_t size_;
};

// The weights of a model: parameters and routing biases. The bytes at fixed addresses are what is
// trained, served, pushed and saved.
struct Weights {
  Weights(const ParameterLayout& layout, DType dtype)
      : parameters(layout.size(), dtype), biases(layout.bias_size(), DType::kF32) {}
  ParameterArena parameters;
  ParameterArena biases;
};

// Draws initial f32 weights: matrices N(0, 1/fan_in), output and down projections half of that, the
// embedding 0.5, the head half of 1/fan_in, norms 1, biases 0 (the recipe of the Countdown demo).
// Each tensor has its own random stream keyed by (seed, name). `out` has layout.size() elements.
void InitializeWeights(const ParameterLayout& layout, uint64_t seed, float* out);

}  // namespace hone
