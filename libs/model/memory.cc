// What the passes of attention.cc, feed_forward.cc and transformer.cc allocate, in bytes per token.
// tests/model/memory_test.cc compares it with what they take.

#include "libs/model/memory.h"

#include <algorithm>

namespace hone {
namespace {

// Bytes per token of the arrays of one block's pass.
struct Block {
  double attention = 0;  // forward, with the stream behind it
  double temporary = 0;  // of attention: freed before the feed-forward
  double feed_forward = 0;
  double statistics = 0;                                     // what only training keeps
  double attention_backward = 0, feed_forward_backward = 0;  // freed at the end of each
};

Block BlockOf(const ModelConfig& c, bool sparse, DType dtype) {
  const auto b = static_cast<double>(BytesOf(dtype));
  const auto f32 = 4.0;
  const auto d = static_cast<double>(c.hidden);
  const auto heads = static_cast<double>(c.heads);
  const auto kv = static_cast<double>(c.kv_width());
  const double query = heads * static_cast<double>(c.query_dim());
  const double output_in = heads * static_cast<double>(c.v_dim);
  const bool bf16 = dtype != DType::kF32;
  Block r;
  // Attention.
  double projected = 0;
  if (c.attention == ModelConfig::Attention::kMla) {
    const double q_full = heads * static_cast<double>(c.nope_dim + c.rope_dim);
    const auto rank = static_cast<double>(c.q_lora_rank),
               kv_rank = static_cast<double>(c.kv_lora_rank);
    projected = (rank > 0 ? rank : q_full) + kv;
    r.attention += b * kv;
    r.temporary += b * (query + heads * kv_rank);
    r.statistics += f32;
    // Keys and values of every head, their gradients, and those of what they were made from.
    r.attention_backward += (b + f32) * (q_full + output_in) +
                            b * (heads * static_cast<double>(c.nope_dim + c.v_dim) + kv_rank);
    if (rank > 0) {
      r.attention += b * (rank + q_full);
      r.statistics += f32;
      r.attention_backward += b * (rank + q_full);
    }
  } else {
    projected = query + kv;
    r.attention_backward += f32 * kv + (bf16 ? b * kv : 0);
    if (c.qk_norm) {
      r.attention += b * (query + kv);
      r.statistics += f32 * static_cast<double>(c.heads + c.kv_heads);
      r.attention_backward += b * query;
    }
  }
  r.attention += b * (d + projected + output_in + d);  // the last: the stream after attention
  r.statistics += f32 * (1 + heads);
  r.attention_backward += b * (output_in + projected + d);
  // Feed-forward.
  r.feed_forward += b * d;
  r.statistics += f32;
  r.feed_forward_backward += b * d;
  const auto dense = static_cast<double>(sparse ? c.moe.shared_width : c.dense_width);
  r.feed_forward += b * 3 * dense;
  r.feed_forward_backward += b * 3 * dense;
  if (!sparse) return r;
  const auto k = static_cast<double>(c.moe.experts_per_token);
  const auto experts = static_cast<double>(c.moe.experts);
  const double routed = k * (2 * d + 3 * static_cast<double>(c.moe.width));
  r.feed_forward += b * routed + f32 * (2 * experts + 4 * k);
  r.feed_forward_backward += b * routed + f32 * (experts + k) + (bf16 ? b * experts : 0);
  return r;
}

double Bytes(double elements, DType dtype) {
  return elements * static_cast<double>(BytesOf(dtype));
}

double WeightBytes(const ModelConfig& c, DType dtype) {
  double biases = 0;
  if (c.moe.has_bias)
    biases = 4.0 * static_cast<double>(c.moe.experts) *
             static_cast<double>(std::count(c.sparse.begin(), c.sparse.end(), true));
  return Bytes(c.ParameterCount(), dtype) + biases;
}

// What adapters add, in bytes.
struct Adapters {
  double trained = 0;  // A and B, f32
  double merged = 0;   // copies of the tensors that have one
  double layer = 0;    // gradients of one layer's copies, f32
};

Adapters AdaptersOf(const ModelConfig& c, const MemoryUse& use) {
  Adapters a;
  if (use.lora.rank == 0) return a;
  const ParameterLayout layout(c, use.lora);
  a.trained = 4 * static_cast<double>(layout.trained_size());
  a.merged = Bytes(static_cast<double>(layout.merged_size()), use.dtype);
  for (const ParameterLayout::Layer& layer : layout.layers())
    a.layer = std::max(a.layer, 4 * static_cast<double>(layer.merged_size));
  return a;
}

}  // namespace

double CacheBytesPerToken(const ModelConfig& c, DType dtype) {
  return Bytes(static_cast<double>(c.layers * c.kv_width()), dtype);
}

double ActivationBytesPerToken(const ModelConfig& c, DType dtype,
                               ActivationCheckpointing checkpointing) {
  const auto d = static_cast<double>(c.hidden);
  double kept = 0, backward = 0;
  for (const bool sparse : c.sparse) {
    const Block block = BlockOf(c, sparse, dtype);
    const double attention = block.attention + block.statistics;
    const double forward = attention + block.feed_forward;
    double again = 0, attention_again = 0;
    if (checkpointing == ActivationCheckpointing::kFeedForward) again = block.feed_forward;
    if (checkpointing == ActivationCheckpointing::kLayer)
      again = forward, attention_again = attention;
    kept += forward - again + Bytes(d, dtype);  // and the stream behind it
    backward = std::max({backward, attention_again + block.temporary,
                         again + block.feed_forward_backward, again + block.attention_backward});
  }
  // The embedding, the final norm, and the gradient that the head hands back.
  return kept + backward + Bytes(2 * d, dtype) + 4 + 4 * d +
         (dtype == DType::kF32 ? 0 : Bytes(d, dtype));
}

RolloutMemory MemoryOfRollout(const ModelConfig& c, const MemoryUse& use) {
  RolloutMemory m;
  const Adapters adapters = AdaptersOf(c, use);
  m.weights = WeightBytes(c, use.dtype) + adapters.trained + adapters.merged;
  m.incoming_weights =
      use.lora.rank > 0 ? adapters.trained + adapters.merged : WeightBytes(c, use.dtype);
  m.cache = CacheBytesPerToken(c, use.dtype) * static_cast<double>(use.cache_tokens);
  double block = 0;
  for (const bool sparse : c.sparse) {
    const Block b = BlockOf(c, sparse, use.dtype);
    block = std::max(block, b.attention + std::max(b.temporary, b.feed_forward));
  }
  const auto d = static_cast<double>(c.hidden);
  m.activations = (block + Bytes(2 * d, use.dtype)) * static_cast<double>(use.batch_tokens);
  m.activations += (Bytes(d, use.dtype) + 4 * static_cast<double>(c.vocab)) *
                   static_cast<double>(std::min(use.sequences, use.batch_tokens));
  return m;
}

TrainingMemory MemoryOfTraining(const ModelConfig& c, const MemoryUse& use) {
  TrainingMemory m;
  const Adapters adapters = AdaptersOf(c, use);
  m.weights = WeightBytes(c, use.dtype) + adapters.trained + adapters.merged;
  if (use.lora.rank > 0) {
    m.snapshot = adapters.trained;
    m.gradients = adapters.trained + adapters.layer;
    m.moments = 2 * adapters.trained;
    m.reference = use.reference ? adapters.trained + adapters.merged : 0;
  } else {
    m.snapshot = use.dtype == DType::kF32 ? m.weights : 1.5 * m.weights;
    m.gradients = 4 * c.ParameterCount();
    m.moments = 8 * c.ParameterCount();
    m.masters = use.dtype == DType::kF32 ? 0 : (4 + 1.0 / 8) * c.ParameterCount();
    m.reference = use.reference ? m.weights : 0;
  }
  m.activations = ActivationBytesPerToken(c, use.dtype, use.checkpointing) *
                  static_cast<double>(use.micro_batch_tokens);
  const auto scored = static_cast<double>(use.scored_tokens);
  m.activations += scored * (Bytes(2.0 * static_cast<double>(c.hidden), use.dtype) + 5 * 4);
  const auto vocab = static_cast<double>(c.vocab);
  const double rows =
      std::min(scored, std::max(1.0, static_cast<double>(use.head_chunk_bytes) / (4 * vocab)));
  m.head = rows * vocab * (use.dtype == DType::kF32 ? 4 : 4 + 2);
  return m;
}

}  // namespace hone
