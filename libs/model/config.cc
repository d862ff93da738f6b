#include "libs/model/config.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/log.h"
#include "libs/base/status.h"
#include "libs/json/strict_json.h"
#include "nlohmann/json.hpp"

namespace hone {
namespace {

using nlohmann::json;

// What sets an architecture apart beside the numbers of its config.json.
struct Family {
  const char* model_type;
  bool mla = false;
  bool qk_norm = false;
  bool input_bias = false;  // always; elsewhere attention_bias decides
  bool sparse = false;      // GQA with experts
};
// More than any model has; keeps lists of a hostile file's tensors small.
constexpr int64_t kMaxExperts = 4096;
constexpr Family kFamilies[] = {
    {.model_type = "deepseek_v2", .mla = true},
    {.model_type = "deepseek_v3", .mla = true},   // R1, Moonlight
    {.model_type = "llama"},                      // DeepSeek-LLM, -Coder, -Math, R1-Distill-Llama
    {.model_type = "qwen2", .input_bias = true},  // Qwen2.5, R1-Distill-Qwen
    {.model_type = "qwen3", .qk_norm = true},
    {.model_type = "qwen3_moe", .qk_norm = true, .sparse = true},
};

// Reads fields of config.json and remembers the first thing that is wrong.
class Fields {
 public:
  explicit Fields(const json& root) : root_(root) {}

  const absl::Status& status() const { return status_; }
  void Fail(absl::string_view field, absl::string_view why) {
    if (status_.ok())
      status_ = absl::InvalidArgumentError(absl::StrCat("config.json: ", field, ": ", why));
  }
  bool Has(const char* field) const { return root_.contains(field) && !root_[field].is_null(); }

  int64_t Int(const char* field, int64_t absent, int64_t low = 1, int64_t high = 1 << 16) {
    if (!Has(field)) return absent;
    const json& v = root_[field];
    if (!v.is_number_integer() || v.get<double>() < static_cast<double>(low) ||
        v.get<double>() > static_cast<double>(high)) {
      Fail(field, absl::StrCat(v.dump(), " is not an integer from ", low, " to ", high));
      return low;
    }
    return v.get<int64_t>();
  }
  int64_t RequiredInt(const char* field, int64_t low = 1, int64_t high = 1 << 16) {
    if (!Has(field)) Fail(field, "is missing");
    return Int(field, low, low, high);
  }
  double Number(const char* field, double absent, double low = 0) {
    constexpr double kHigh = 1e12;
    if (!Has(field)) return absent;
    const json& v = root_[field];
    if (!v.is_number() || !(v.get<double>() >= low && v.get<double>() <= kHigh)) {
      Fail(field, absl::StrCat(v.dump(), " is not a number from ", low, " to ", kHigh));
      return low;
    }
    return v.get<double>();
  }
  bool Bool(const char* field, bool absent) {
    if (!Has(field)) return absent;
    if (!root_[field].is_boolean()) {
      Fail(field, absl::StrCat(root_[field].dump(), " is not true or false"));
      return absent;
    }
    return root_[field].get<bool>();
  }
  std::string Text(const char* field, const std::string& absent) {
    if (!Has(field)) return absent;
    if (!root_[field].is_string()) {
      Fail(field, absl::StrCat(root_[field].dump(), " is not a string"));
      return absent;
    }
    return root_[field].get<std::string>();
  }
  const json& operator[](const char* field) const { return root_[field]; }

 private:
  const json& root_;
  absl::Status status_;
};

// transformers v4 writes rope_theta + rope_scaling, v5 rope_parameters; where both are, the newer
// form wins.
absl::Status ParseRope(Fields& f, ModelConfig& c) {
  constexpr double kMinTheta = 1.001;  // YaRN divides by its logarithm
  c.rope.theta = f.Number("rope_theta", 10000, kMinTheta);
  const char* form = f.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!f.Has(form)) return f.status();
  if (!f[form].is_object()) {
    f.Fail(form, "is not an object");
    return f.status();
  }
  Fields r(f[form]);
  if (f.Has("rope_theta") && r.Number("rope_theta", c.rope.theta, kMinTheta) != c.rope.theta)
    Log(LogLevel::kWarning, "config.json: rope_theta differs from rope_parameters, which is used",
        {{"rope_theta", c.rope.theta}, {"used", r.Number("rope_theta", 0)}});
  const std::string type = r.Text("rope_type", r.Text("type", "default"));
  c.rope.theta = r.Number("rope_theta", c.rope.theta, kMinTheta);
  c.rope.factor = r.Number("factor", 1, 1);
  c.rope.original_positions =
      r.Int("original_max_position_embeddings",
            f.Int("original_max_position_embeddings", 0, 1, 1 << 24), 1, 1 << 24);
  if (r.Number("partial_rotary_factor", 1) != 1)
    r.Fail("partial_rotary_factor", "only 1 is supported");
  if (type == "linear") {
    c.rope.kind = ModelConfig::Rope::Kind::kLinear;
  } else if (type == "llama3") {
    c.rope.kind = ModelConfig::Rope::Kind::kLlama3;
    c.rope.low_freq_factor = r.Number("low_freq_factor", 1);
    c.rope.high_freq_factor = r.Number("high_freq_factor", 4);
    if (c.rope.high_freq_factor <= c.rope.low_freq_factor)
      r.Fail("high_freq_factor", "is not above low_freq_factor");
  } else if (type == "yarn") {
    c.rope.kind = ModelConfig::Rope::Kind::kYarn;
    c.rope.beta_fast = r.Number("beta_fast", 32, 1e-3);
    c.rope.beta_slow = r.Number("beta_slow", 1, 1e-3);
    c.rope.mscale = r.Number("mscale", 0);
    c.rope.mscale_all_dim = r.Number("mscale_all_dim", 0);
    c.rope.attention_factor = r.Number("attention_factor", 0);
    c.rope.truncate = r.Bool("truncate", true);
    if (c.rope.original_positions == 0) c.rope.original_positions = c.max_positions;
    if (!r.Has("factor") && c.rope.original_positions > 0)
      c.rope.factor = static_cast<double>(c.max_positions) / c.rope.original_positions;
  } else if (type != "default") {
    r.Fail("rope_type", absl::StrCat("\"", type, "\" is not default, linear, llama3 or yarn"));
  }
  if (c.rope.kind == ModelConfig::Rope::Kind::kLlama3 && c.rope.original_positions == 0)
    r.Fail("original_max_position_embeddings", "is missing");
  HONE_RETURN_IF_ERROR(f.status());
  return r.status();
}

void ParseDeepSeek(Fields& f, ModelConfig& c) {
  const bool v3 = c.model_type == "deepseek_v3";
  c.attention = ModelConfig::Attention::kMla;
  c.kv_heads = 1;
  if (f.Bool("attention_bias", false)) f.Fail("attention_bias", "true is not supported with MLA");
  if (f.Int("num_key_value_heads", c.heads) != c.heads)
    f.Fail("num_key_value_heads", "must equal num_attention_heads");
  c.q_lora_rank = f.Int("q_lora_rank", 0);
  c.kv_lora_rank = f.RequiredInt("kv_lora_rank");
  c.nope_dim = f.RequiredInt("qk_nope_head_dim");
  c.rope_dim = f.RequiredInt("qk_rope_head_dim");
  c.v_dim = f.RequiredInt("v_head_dim");
  c.lora_norm_eps = f.Number("mla_lora_norm_eps", 1e-6);
  c.rope_interleaved = f.Bool("rope_interleave", true);
  ModelConfig::Moe& moe = c.moe;
  c.mtp_layers = f.Int("num_nextn_predict_layers", 0, 0, 64);
  moe.experts = f.Int("n_routed_experts", 0, 1, kMaxExperts);
  if (moe.experts == 0) return;
  if (f.Int("moe_layer_freq", 1) != 1) f.Fail("moe_layer_freq", "only 1 is supported");
  const int64_t dense = f.Int("first_k_dense_replace", 0, 0);
  for (int64_t l = dense; l < c.layers; ++l) c.sparse[static_cast<size_t>(l)] = true;
  moe.experts_per_token = f.RequiredInt("num_experts_per_tok", 1, moe.experts);
  moe.width = f.RequiredInt("moe_intermediate_size", 1, 1 << 22);
  moe.shared_width = moe.width * f.Int("n_shared_experts", 0, 0, 64);
  moe.groups = f.Int("n_group", 1, 1, moe.experts);
  moe.top_groups = f.Int("topk_group", moe.groups, 1, moe.groups);
  if (moe.experts % moe.groups != 0) f.Fail("n_group", "does not divide n_routed_experts");
  moe.scale = f.Number("routed_scaling_factor", 1);
  const std::string scoring = f.Text("scoring_func", v3 ? "sigmoid" : "softmax");
  const std::string method = f.Text("topk_method", v3 ? "noaux_tc" : "greedy");
  moe.normalize = f.Bool("norm_topk_prob", v3);
  if (v3) {
    if (scoring != "sigmoid") f.Fail("scoring_func", "DeepSeek-V3 needs sigmoid");
    if (method != "noaux_tc") f.Fail("topk_method", "DeepSeek-V3 needs noaux_tc");
    moe.has_bias = true;
    return;
  }
  moe.scoring = kernels::Scoring::kSoftmax;
  moe.group_score = kernels::GroupScore::kMax;
  if (scoring != "softmax") f.Fail("scoring_func", "DeepSeek-V2 needs softmax");
  if (moe.normalize) f.Fail("norm_topk_prob", "true is not supported for DeepSeek-V2");
  if (method == "greedy") {
    moe.groups = moe.top_groups = 1;
  } else if (method != "group_limited_greedy") {
    f.Fail("topk_method", absl::StrCat("\"", method, "\" is not greedy or group_limited_greedy"));
  }
}

void ParseGqa(const Family& family, Fields& f, ModelConfig& c) {
  c.attention = ModelConfig::Attention::kGqa;
  c.kv_heads = f.Int("num_key_value_heads", c.heads, 1, c.heads);
  if (c.heads % c.kv_heads != 0)
    f.Fail("num_key_value_heads", "does not divide num_attention_heads");
  c.head_dim = f.Int("head_dim", c.hidden / c.heads);
  if (!f.Has("head_dim") && c.hidden % c.heads != 0)
    f.Fail("hidden_size", "is no multiple of num_attention_heads and head_dim is missing");
  c.nope_dim = 0;
  c.rope_dim = c.v_dim = c.head_dim;
  c.qk_norm = family.qk_norm;
  const bool attention_bias = f.Bool("attention_bias", false);
  c.input_bias = family.input_bias || attention_bias;
  c.output_bias = !family.input_bias && attention_bias;
  c.mlp_bias = f.Bool("mlp_bias", false);
  if (f.Bool("use_mrope", false)) f.Fail("use_mrope", "true is not supported");
  if (f.Bool("use_sliding_window", false))
    f.Fail("use_sliding_window", "sliding windows are not supported");
  if (f.Has("layer_types"))
    for (const json& type : f["layer_types"])
      if (type != "full_attention")
        f.Fail("layer_types", absl::StrCat(type.dump(), " is not supported"));
  if (!family.sparse) return;
  ModelConfig::Moe& moe = c.moe;
  // transformers 5.24 renames it when it saves.
  moe.experts = f.RequiredInt(f.Has("num_local_experts") ? "num_local_experts" : "num_experts", 1,
                              kMaxExperts);
  moe.experts_per_token = f.RequiredInt("num_experts_per_tok", 1, moe.experts);
  moe.width = f.RequiredInt("moe_intermediate_size", 1, 1 << 22);
  moe.scoring = kernels::Scoring::kSoftmax;
  moe.normalize = f.Bool("norm_topk_prob", false);
  const int64_t step = f.Int("decoder_sparse_step", 1);
  for (int64_t l = 0; l < c.layers; ++l) c.sparse[static_cast<size_t>(l)] = (l + 1) % step == 0;
  if (f.Has("mlp_only_layers"))
    for (const json& l : f["mlp_only_layers"])
      if (l.is_number_integer() && l.get<int64_t>() >= 0 && l.get<int64_t>() < c.layers)
        c.sparse[l.get<size_t>()] = false;
}

void ParseEos(Fields& f, ModelConfig& c) {
  if (!f.Has("eos_token_id")) return;
  const json& eos = f["eos_token_id"];
  for (const json& id : eos.is_array() ? eos : json::array({eos})) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= c.vocab) {
      f.Fail("eos_token_id", absl::StrCat(id.dump(), " is not a token id below vocab_size"));
      return;
    }
    c.eos_ids.push_back(id.get<int32_t>());
  }
}

// Which weights can be read is libs/checkpoint's to know; here only that it is a quantisation that
// it knows at all.
absl::Status CheckQuantization(const json& root) {
  const auto quantization = root.find("quantization_config");
  if (quantization == root.end() || quantization->is_null()) return absl::OkStatus();
  const auto method =
      quantization->is_object() ? quantization->find("quant_method") : quantization->end();
  if (method != quantization->end() && *method == "fp8") return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("config.json: quantization_config: ", quantization->dump().substr(0, 200),
                   " (only block-quantised fp8 weights can be read)"));
}

}  // namespace

absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view text) {
  HONE_ASSIGN_OR_RETURN(const json root, ParseJsonObject(text, "config.json"));
  Fields f(root);
  ModelConfig c;
  c.model_type = f.Text("model_type", "");
  HONE_RETURN_IF_ERROR(f.status());
  const Family* family = nullptr;
  std::vector<std::string> names;
  for (const Family& known : kFamilies) {
    if (c.model_type == known.model_type) family = &known;
    names.push_back(known.model_type);
  }
  if (family == nullptr) {
    f.Fail("model_type", absl::StrCat("\"", c.model_type, "\" is not supported (expected one of ",
                                      absl::StrJoin(names, ", "), ")"));
    return f.status();
  }
  c.hidden = f.RequiredInt("hidden_size");
  c.layers = f.RequiredInt("num_hidden_layers", 1, 1024);
  c.heads = f.RequiredInt("num_attention_heads", 1, 4096);
  c.dense_width = f.RequiredInt("intermediate_size", 1, 1 << 22);
  c.vocab = f.RequiredInt("vocab_size", 1, 1 << 24);
  c.max_positions = f.Int("max_position_embeddings", 2048, 1, 1 << 24);
  c.norm_eps = f.Number("rms_norm_eps", 1e-6);
  c.tied = f.Bool("tie_word_embeddings", false);
  c.sparse.assign(static_cast<size_t>(c.layers), false);
  if (f.Text("hidden_act", "silu") != "silu") f.Fail("hidden_act", "only silu is supported");
  HONE_RETURN_IF_ERROR(f.status());
  HONE_RETURN_IF_ERROR(CheckQuantization(root));
  family->mla ? ParseDeepSeek(f, c) : ParseGqa(*family, f, c);
  HONE_RETURN_IF_ERROR(f.status());
  if (c.rope_dim % 2 != 0) f.Fail(family->mla ? "qk_rope_head_dim" : "head_dim", "must be even");
  if (c.layers * c.moe.experts > int64_t{1} << 18)
    f.Fail("num_hidden_layers", "has more than 262144 experts in all");
  // No product of sizes overflows below this.
  if (const double n = c.ParameterCount(); n > 1e15)
    f.Fail("hidden_size", absl::StrCat("makes a model of ", n, " parameters, the limit is 1e15"));
  ParseEos(f, c);
  HONE_RETURN_IF_ERROR(f.status());
  HONE_RETURN_IF_ERROR(ParseRope(f, c));
  return c;
}

}  // namespace hone
