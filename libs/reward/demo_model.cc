#include "libs/reward/demo_model.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "nlohmann/json.hpp"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

// In the order of their ids.
std::vector<std::string> Tags() {
  return {"<pad>",    "<bos>",     "<eos>",  "<think>",    "</think>",
          "<answer>", "</answer>", "<user>", "<assistant>"};
}

std::vector<std::string> Vocabulary() {
  std::vector<std::string> all = Tags();
  for (int i = 0; i < 100; ++i) all.push_back(absl::StrCat(i));
  for (char c : std::string("+-*/=.,?();:")) all.push_back(std::string(1, c));
  for (const char* word : {"no", "ok", "Use", "to", "make"}) all.push_back(word);
  return all;
}

Json Tokenizer() {
  Json added = Json::array();
  for (const std::string& tag : Tags())
    added.push_back({{"id", added.size()},
                     {"content", tag},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  Json vocabulary = Json::object();
  for (const std::string& token : Vocabulary()) vocabulary[token] = vocabulary.size();

  // Words, numbers and signs by themselves; white space goes. The decoder puts nothing between
  // tokens.
  Json split = {{"type", "Split"},
                {"pattern", {{"Regex", R"(\d+|[A-Za-z]+|[^\w\s])"}}},
                {"behavior", "Isolated"},
                {"invert", false}};
  Json json;
  json["version"] = "1.0";
  json["truncation"] = nullptr;
  json["padding"] = nullptr;
  json["added_tokens"] = added;
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", Json::array({{{"type", "WhitespaceSplit"}}, split})}};
  json["post_processor"] = nullptr;
  json["decoder"] = {{"type", "Fuse"}};
  // Not in the vocabulary: text that cannot be spelt is an error, not a silent token.
  json["model"] = {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "<unk>"}};
  return json;
}

Json Config() {
  Json json;
  json["architectures"] = {"DeepseekV3ForCausalLM"};
  json["model_type"] = "deepseek_v3";
  json["vocab_size"] = Vocabulary().size();
  json["hidden_size"] = 64;
  json["num_hidden_layers"] = 3;
  json["num_attention_heads"] = 4;
  json["num_key_value_heads"] = 4;
  json["qk_nope_head_dim"] = 16;
  json["qk_rope_head_dim"] = 8;
  json["v_head_dim"] = 16;
  json["kv_lora_rank"] = 32;
  json["q_lora_rank"] = nullptr;
  json["attention_bias"] = false;
  json["attention_dropout"] = 0.0;
  json["rope_theta"] = 10000.0;
  json["rope_scaling"] = nullptr;
  json["rope_interleave"] = false;
  json["max_position_embeddings"] = 128;
  json["hidden_act"] = "silu";
  json["intermediate_size"] = 128;
  json["first_k_dense_replace"] = 1;
  json["moe_layer_freq"] = 1;
  json["moe_intermediate_size"] = 32;
  json["n_routed_experts"] = 8;
  json["n_shared_experts"] = 2;
  json["num_experts_per_tok"] = 2;
  json["n_group"] = 1;
  json["topk_group"] = 1;
  json["scoring_func"] = "sigmoid";
  json["topk_method"] = "noaux_tc";
  json["norm_topk_prob"] = true;
  json["routed_scaling_factor"] = 1.0;
  json["num_nextn_predict_layers"] = 0;
  json["rms_norm_eps"] = 1e-6;
  json["initializer_range"] = 0.02;
  json["tie_word_embeddings"] = false;
  json["pad_token_id"] = 0;
  json["bos_token_id"] = 1;
  json["eos_token_id"] = 2;
  json["use_cache"] = true;
  json["torch_dtype"] = "float32";
  return json;
}

}  // namespace

absl::Status WriteDemoModel(const std::string& folder) {
  HONE_RETURN_IF_ERROR(MakeDirectories(folder));
  HONE_RETURN_IF_ERROR(WriteFileAtomically(folder + "/config.json", Config().dump(2) + "\n"));
  return WriteFileAtomically(folder + "/tokenizer.json", Tokenizer().dump(2) + "\n");
}

}  // namespace hone
