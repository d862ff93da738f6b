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
  CHECK(message({{"rope_scaling", {{"type", "dynamic"}}}}).find("dynamic") != std::string::npos);
  CHECK_CODE(ParseModelConfig("{"), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone
