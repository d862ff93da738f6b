#include "libs/model/config.h"

#include <fstream>

#include "nlohmann/json.hpp"
#include "tests/testing/test.h"

namespace hone {
namespace {

nlohmann::json Golden(const std::string& name) {
  std::ifstream in(std::string(HONE_GOLDEN_DIR) + "/" + name);
  return nlohmann::json::parse(in);
}

TEST_CASE("rotary frequencies equal those of transformers", "[model]") {
  const nlohmann::json goldens = Golden("models/rope_goldens.json");
  for (const auto& [name, golden] : goldens.items()) {
    INFO(name);
    nlohmann::json json = golden["config"];
    const int64_t dim = golden["dim"];
    json.update({{"model_type", "llama"},
                 {"hidden_size", dim * 2},
                 {"head_dim", dim},
                 {"num_hidden_layers", 1},
                 {"num_attention_heads", 2},
                 {"intermediate_size", 8},
                 {"vocab_size", 8}});
    const auto config = ParseModelConfig(json.dump());
    REQUIRE_OK(config);
    const RopeFrequencies got = ComputeRopeFrequencies(*config);
    const std::vector<double> want = golden["inv_freq"];
    REQUIRE(got.inv_freq.size() == want.size());
    for (size_t i = 0; i < want.size(); ++i)
      CHECK(std::abs(got.inv_freq[i] - want[i]) <= 1e-6 * std::abs(want[i]));
    if (golden["attention_factor"].is_number())
      CHECK(std::abs(got.attention_factor - golden["attention_factor"].get<double>()) < 1e-6);
  }
}

TEST_CASE("a configuration that would change the model silently is refused by name", "[model]") {
  const nlohmann::json good = Golden("models/dsv3/config.json");
  REQUIRE_OK(ParseModelConfig(good.dump()));
  const auto message = [&](const nlohmann::json& change) {
    nlohmann::json json = good;
    json.update(change);
    const auto config = ParseModelConfig(json.dump());
    CHECK_CODE(config, absl::StatusCode::kInvalidArgument);
    return std::string(config.status().message());
  };
  CHECK(message({{"model_type", "mamba"}}).find("\"mamba\"") != std::string::npos);
  CHECK(message({{"hidden_size", "64"}}).find("hidden_size: \"64\"") != std::string::npos);
  CHECK(message({{"hidden_size", nullptr}}).find("hidden_size: is missing") != std::string::npos);
  CHECK(message({{"num_experts_per_tok", 99}}).find("num_experts_per_tok") != std::string::npos);
  CHECK(message({{"attention_bias", true}}).find("attention_bias") != std::string::npos);
  CHECK(message({{"hidden_act", "gelu"}}).find("hidden_act") != std::string::npos);
  CHECK(message({{"eos_token_id", 5000}}).find("eos_token_id") != std::string::npos);
  CHECK(message({{"num_hidden_layers", 1e30}}).find("num_hidden_layers") != std::string::npos);
  CHECK(message({{"v_head_dim", 70000}}).find("v_head_dim") != std::string::npos);
  CHECK(message({{"hidden_size", 65536},
                 {"num_attention_heads", 4096},
                 {"num_key_value_heads", 4096},
                 {"num_hidden_layers", 1000},
                 {"moe_intermediate_size", 4000000},
                 {"n_routed_experts", 256}})
            .find("the limit is 1e15") != std::string::npos);
  CHECK(message({{"num_hidden_layers", 1024}, {"n_routed_experts", 4096}}).find("experts in all") !=
        std::string::npos);
  CHECK(message({{"rope_scaling", {{"type", "dynamic"}}}}).find("dynamic") != std::string::npos);
  for (const char* text : {"{", "", "[]", "{\"model_type\": 1}", "{\"a\":1,\"a\":2}", "\xff"})
    CHECK_CODE(ParseModelConfig(text), absl::StatusCode::kInvalidArgument);
  for (const nlohmann::json& quantization :
       {nlohmann::json("fp8"), nlohmann::json({{"quant_method", "awq"}}),
        nlohmann::json::array()}) {
    nlohmann::json json = good;
    json["quantization_config"] = quantization;
    CHECK_CODE(ParseModelConfig(json.dump()), absl::StatusCode::kUnimplemented);
  }
}

TEST_CASE("biases follow the family and the configuration", "[model]") {
  const auto parse = [](const nlohmann::json& change) {
    nlohmann::json json = Golden("models/qwen2_bias/config.json");
    json.update(change);
    const auto config = ParseModelConfig(json.dump());
    REQUIRE_OK(config);
    return *config;
  };
  const ModelConfig qwen = parse(nlohmann::json::object());
  CHECK((qwen.input_bias && !qwen.output_bias && !qwen.mlp_bias));
  // transformers 5 writes attention_bias false for a model that has them.
  CHECK(parse({{"attention_bias", false}}).input_bias);
  CHECK_FALSE(parse({{"model_type", "llama"}}).input_bias);
  const ModelConfig llama =
      parse({{"model_type", "llama"}, {"attention_bias", true}, {"mlp_bias", true}});
  CHECK((llama.input_bias && llama.output_bias && llama.mlp_bias));
}

}  // namespace
}  // namespace hone
