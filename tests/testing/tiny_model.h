#pragma once

// Model folders with random weights and a byte-level tokenizer, small enough for a test, and the
// shapes of the models that deploy/examples is for.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "libs/model/load.h"
#include "libs/model/save.h"
#include "nlohmann/json.hpp"
#include "tests/testing/test.h"

namespace hone::testing {

// A run file of deploy/examples and its model.
struct ExampleModel {
  const char* run;      // without .yaml
  const char* prompts;  // template of gsm8k.py
  nlohmann::json config;
  nlohmann::json small;  // what to change for the same architecture in small
  double parameters;     // published
};

inline std::vector<ExampleModel> ExampleModels() {
  const nlohmann::json qwen = {{"model_type", "qwen2"},
                               {"architectures", {"Qwen2ForCausalLM"}},
                               {"vocab_size", 151936},
                               {"num_key_value_heads", 2},
                               {"rope_theta", 1e6},
                               {"rms_norm_eps", 1e-6},
                               {"hidden_act", "silu"},
                               {"use_sliding_window", false},
                               {"sliding_window", 131072},
                               {"max_window_layers", 28},
                               {"max_position_embeddings", 131072},
                               {"tie_word_embeddings", true}};
  const auto with = [](nlohmann::json base, const nlohmann::json& change) {
    base.update(change);
    return base;
  };
  const nlohmann::json half = with(qwen, {{"hidden_size", 896},
                                          {"num_hidden_layers", 24},
                                          {"num_attention_heads", 14},
                                          {"intermediate_size", 4864},
                                          {"max_position_embeddings", 32768}});
  const nlohmann::json one_and_a_half = with(qwen, {{"hidden_size", 1536},
                                                    {"num_hidden_layers", 28},
                                                    {"num_attention_heads", 12},
                                                    {"intermediate_size", 8960}});
  const nlohmann::json distilled =
      with(one_and_a_half, {{"rope_theta", 1e4}, {"tie_word_embeddings", false}});
  const nlohmann::json moonlight = {{"model_type", "deepseek_v3"},
                                    {"architectures", {"DeepseekV3ForCausalLM"}},
                                    {"vocab_size", 163840},
                                    {"hidden_size", 2048},
                                    {"num_hidden_layers", 27},
                                    {"num_attention_heads", 16},
                                    {"num_key_value_heads", 16},
                                    {"q_lora_rank", nullptr},
                                    {"kv_lora_rank", 512},
                                    {"qk_nope_head_dim", 128},
                                    {"qk_rope_head_dim", 64},
                                    {"v_head_dim", 128},
                                    {"intermediate_size", 11264},
                                    {"moe_intermediate_size", 1408},
                                    {"n_routed_experts", 64},
                                    {"num_experts_per_tok", 6},
                                    {"n_shared_experts", 2},
                                    {"first_k_dense_replace", 1},
                                    {"moe_layer_freq", 1},
                                    {"n_group", 1},
                                    {"topk_group", 1},
                                    {"norm_topk_prob", true},
                                    {"scoring_func", "sigmoid"},
                                    {"topk_method", "noaux_tc"},
                                    {"routed_scaling_factor", 2.446},
                                    {"rope_theta", 5e4},
                                    {"rms_norm_eps", 1e-5},
                                    {"hidden_act", "silu"},
                                    {"max_position_embeddings", 8192}};
  const nlohmann::json small_qwen = {{"hidden_size", 32},        {"num_hidden_layers", 2},
                                     {"num_attention_heads", 4}, {"intermediate_size", 48},
                                     {"vocab_size", 300},        {"max_position_embeddings", 2048},
                                     {"eos_token_id", 256}};
  nlohmann::json small_moonlight = with(small_qwen, {{"num_hidden_layers", 3},
                                                     {"num_key_value_heads", 4},
                                                     {"kv_lora_rank", 16},
                                                     {"qk_nope_head_dim", 8},
                                                     {"qk_rope_head_dim", 8},
                                                     {"v_head_dim", 8},
                                                     {"moe_intermediate_size", 16},
                                                     {"n_routed_experts", 8},
                                                     {"num_experts_per_tok", 3}});
  return {{"r1-zero-gsm8k-qwen2.5-0.5b", "r1_zero", half, small_qwen, 0.494e9},
          {"r1-zero-gsm8k-qwen2.5-1.5b", "r1_zero", one_and_a_half, small_qwen, 1.544e9},
          {"gsm8k-r1-distill-qwen-1.5b", "r1", distilled, small_qwen, 1.777e9},
          {"r1-zero-gsm8k-moonlight-16b-a3b", "r1_zero", moonlight, small_moonlight, 15.96e9}};
}

// Every byte is a token (ids 0 to 255 by the byte-level alphabet), then an end of sequence and the
// tags of R1's prompts.
inline nlohmann::json ByteTokenizer() {
  nlohmann::json vocab = nlohmann::json::object();
  int shifted = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool plain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int code = plain ? byte : shifted++;
    std::string text;
    if (code < 0x80) {
      text.push_back(static_cast<char>(code));
    } else {
      text.push_back(static_cast<char>(0xc0 | code >> 6));
      text.push_back(static_cast<char>(0x80 | (code & 0x3f)));
    }
    vocab[text] = byte;
  }
  nlohmann::json added = nlohmann::json::array();
  for (const char* token : {"<eos>", "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
                            "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>", "<think>", "</think>"})
    added.push_back({{"id", 256 + added.size()},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  const nlohmann::json bytes = {{"type", "ByteLevel"},
                                {"add_prefix_space", false},
                                {"trim_offsets", true},
                                {"use_regex", true}};
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", bytes},
          {"post_processor", nullptr},
          {"decoder", bytes},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::array()}}}};
}

// A model folder of `config` with random weights (the same for the same config).
inline void WriteTinyModel(const std::string& folder, const nlohmann::json& config) {
  std::filesystem::create_directories(folder + "-parts");
  std::ofstream(folder + "-parts/config.json") << config.dump();
  std::ofstream(folder + "-parts/tokenizer.json") << ByteTokenizer().dump();
  const auto parsed = LoadModelConfig(folder + "-parts");
  REQUIRE_OK(parsed);
  const ParameterLayout layout(*parsed);
  Weights weights(layout, DType::kF32);
  InitializeWeights(layout, 1, weights);
  auto writer = FolderWriter::Create(folder);
  REQUIRE_OK(writer);
  REQUIRE_OK(SaveModel(**writer, "", folder + "-parts", *parsed, layout, weights));
  REQUIRE_OK((*writer)->Commit());
}

}  // namespace hone::testing
