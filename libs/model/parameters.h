#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/model/config.h"
#include "libs/tensor/arena.h"
#include "libs/tensor/device.h"
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
  kAdapter,
};

// Which linear modules get a low-rank adapter, and of what rank (lora.h).
struct LoraConfig {
  int64_t rank = 0;  // 0: no adapters
  double alpha = 0;
  std::vector<std::string> targets;  // names of modules such as "q_proj", or kAllLinear

  static constexpr const char* kAllLinear = "all-linear";
  double scale() const { return alpha / static_cast<double>(rank); }
  // "q_proj" of "model.layers.3.self_attn.q_proj.weight".
  static std::string ModuleOf(const std::string& parameter);
  bool Targets(const std::string& parameter) const;
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
//
// With adapters, the model's parameters are frozen; what is trained are the adapters, in an arena
// of their own, and layers compute with merged copies of the tensors that have one.
class ParameterLayout {
 public:
  explicit ParameterLayout(const ModelConfig& config, const LoraConfig& lora = {});

  const LoraConfig& lora() const { return lora_; }
  bool adapted() const { return lora_.rank > 0; }

  // Of the model.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  int64_t size() const { return size_; }  // elements
  // What is trained, pushed and saved: the adapters' tensors ("<module>.lora_A.weight" [rank, in],
  // "<module>.lora_B.weight" [out, rank]) if there are any, else parameters().
  const std::vector<Parameter>& trained() const { return adapted() ? adapters_ : parameters_; }
  int64_t trained_size() const { return adapted() ? adapters_size_ : size_; }
  int64_t adapters_size() const { return adapters_size_; }
  int64_t merged_size() const { return merged_size_; }
  // e_score_correction_bias of every sparse layer: f32, outside the arena, no gradient.
  const std::vector<Parameter>& biases() const { return biases_; }
  int64_t bias_size() const { return bias_size_; }

  struct Span {
    int64_t offset = -1;  // elements; -1: the layer has none
    int64_t rows = 0;
    int64_t cols = 0;
    int64_t merged = -1;  // elements, in the merged arena; -1: no part of it has an adapter
  };
  // A low-rank addition to one tensor.
  struct Adapter {
    std::string module;  // the tensor's name without ".weight"
    Span target;         // the tensor
    Span a, b;           // in the arena of adapters
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
    int64_t end = 0;    // of the layer's parameters, elements

    std::vector<Adapter> adapters;
    int64_t merged_begin = 0, merged_size = 0;  // of the layer's spans in the merged arena

    // f(span) for every matrix that a layer multiplies with, the router left out.
    template <typename F>
    void ForEachSpan(F f) {
      for (Span* s : {&input, &q_b, &kv_b, &output, &gate_up, &down, &expert_gate_up, &expert_down})
        if (s->offset >= 0) f(*s);
    }
    template <typename F>
    void ForEachSpan(F f) const {
      const_cast<Layer*>(this)->ForEachSpan([&](const Span& s) { f(s); });
    }
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

  void AddAdapters();

  const LoraConfig lora_;
  std::vector<Parameter> parameters_;
  std::vector<Parameter> adapters_;
  std::vector<Parameter> biases_;
  std::vector<Layer> layers_;
  Span embedding_, final_norm_, head_;
  int64_t size_ = 0;
  int64_t adapters_size_ = 0;
  int64_t merged_size_ = 0;
  int64_t bias_size_ = 0;
};

// Values for a layout, in device memory: weights in the compute dtype, or gradients and moments in
// f32. The host reads and writes them by tensor/pieces.h.
class ParameterArena {
 public:
  ParameterArena(int64_t size, DType dtype, const kernels::Table& table = kernels::Cpu())
      : dtype_(dtype),
        buffer_(std::make_shared<Memory>(size * BytesOf(dtype), table)),
        size_(size) {}
  ParameterArena(ParameterArena&&) = default;
  ParameterArena(const ParameterArena&) = delete;
  ParameterArena& operator=(const ParameterArena&) = delete;
  // The same memory under another handle, for frozen weights.
  ParameterArena Share() const { return {dtype_, buffer_, size_}; }

  const kernels::Table& table() const { return buffer_->table(); }
  DType dtype() const { return dtype_; }
  int64_t size() const { return size_; }
  int64_t bytes() const { return buffer_->bytes(); }
  void* data() const { return buffer_->data(); }
  Matrix View(const ParameterLayout::Span& s) const {
    HONE_CHECK(s.offset >= 0);
    return {static_cast<char*>(data()) + s.offset * BytesOf(dtype_), s.rows, s.cols, s.cols,
            dtype_};
  }
  Matrix View(const Parameter& p) const {
    return View(ParameterLayout::Span{p.offset, p.rows, p.cols});
  }

 private:
  ParameterArena(DType dtype, std::shared_ptr<Memory> buffer, int64_t size)
      : dtype_(dtype), buffer_(std::move(buffer)), size_(size) {}

  DType dtype_;
  std::shared_ptr<Memory> buffer_;
  int64_t size_;
};

// The weights of a model: parameters and routing biases. The bytes of trained() and biases at fixed
// addresses are what is trained, served, pushed and saved.
struct Weights {
  Weights(const ParameterLayout& layout, DType dtype, const kernels::Table& table = kernels::Cpu())
      : Weights(layout, ParameterArena(layout.size(), dtype, table)) {}
  // Other adapters over the frozen parameters of `base`, whose memory is shared; own parameters for
  // a layout without adapters.
  Weights(const ParameterLayout& layout, const Weights& base)
      : Weights(layout, layout.adapted() ? base.parameters.Share()
                                         : ParameterArena(layout.size(), base.parameters.dtype(),
                                                          base.table())) {}

  const kernels::Table& table() const { return parameters.table(); }
  ParameterArena& trained() { return adapters.size() > 0 ? adapters : parameters; }
  const ParameterArena& trained() const { return adapters.size() > 0 ? adapters : parameters; }
  // What layers compute with.
  Matrix View(const ParameterLayout::Span& s) const {
    if (s.merged < 0) return parameters.View(s);
    return merged.View(ParameterLayout::Span{s.merged, s.rows, s.cols});
  }

  ParameterArena parameters;
  ParameterArena biases;
  ParameterArena adapters;  // f32; empty without
  ParameterArena merged;    // parameters with their adapters added (lora.h); empty without

 private:
  Weights(const ParameterLayout& layout, ParameterArena of_model)
      : parameters(std::move(of_model)),
        biases(layout.bias_size(), DType::kF32, table()),
        adapters(layout.adapters_size(), DType::kF32, table()),
        merged(layout.merged_size(), parameters.dtype(), table()) {}
};

// Makes `to`, which was made from weights of the same layout and frozen parameters, equal to
// `from`. Returns before the device is done.
void CopyTrained(const Device& on, const Weights& from, Weights& to);

// Draws initial weights in f32: matrices N(0, 1/fan_in), output and down projections half of that,
// the embedding 0.5, the head half of 1/fan_in, norms 1, biases 0 (the recipe of the Countdown
// demo). Each tensor has its own random stream keyed by (seed, name). Rounded to the dtype of
// `weights`.
void InitializeWeights(const ParameterLayout& layout, uint64_t seed, Weights& weights);

}  // namespace hone
