#include "libs/model/load.h"

#include "tests/testing/test.h"

namespace hone {
namespace {

const std::string kModels = std::string(HONE_GOLDEN_DIR) + "/models/";

TEST_CASE("weights that are not those of the configuration are refused by name and shape",
          "[model]") {
  ModelConfig config = *LoadModelConfig(kModels + "dsv3");
  const auto reader = HfReader::Open(kModels + "dsv3");
  REQUIRE_OK(reader);
  const auto load = [&](const ModelConfig& c) {
    const ParameterLayout layout(c);
    Weights weights(layout, DType::kF32);
    return LoadWeights(*reader, c, layout, weights);
  };
  REQUIRE_OK(load(config));
  ModelConfig wide = config;
  wide.moe.width = 24;
  const absl::Status status = load(wide);
  CHECK_CODE(status, absl::StatusCode::kInvalidArgument);
  CHECK(std::string(status.message())
            .find("experts.0.gate_proj.weight has shape [20, 32]; config.json makes it [24, 32]") !=
        std::string::npos);
  ModelConfig deep = config;
  deep.layers = 4;
  deep.sparse.push_back(true);
  CHECK(
      std::string(load(deep).message()).find("model.layers.3.input_layernorm.weight is missing") !=
      std::string::npos);
  CHECK_CODE(LoadModelConfig(kModels + "no_such_model"), absl::StatusCode::kNotFound);
}

TEST_CASE("sharded bf16 and fp8 checkpoints load into the same model", "[model]") {
  const ModelConfig config = *LoadModelConfig(kModels + "dsv3");
  const ParameterLayout layout(config);
  Weights want(layout, DType::kF32);
  REQUIRE_OK(LoadWeights(*HfReader::Open(kModels + "dsv3"), config, layout, want));
  for (const auto& [name, tolerance] :
       {std::pair{"dsv3_sharded_bf16", 0.02f}, {"dsv3_fp8_b16", 0.2f}}) {
    INFO(name);
    Weights got(layout, DType::kF32);
    REQUIRE_OK(LoadWeights(*HfReader::Open(kModels + name), config, layout, got));
    const auto* a = static_cast<const float*>(want.parameters.data());
    const auto* b = static_cast<const float*>(got.parameters.data());
    float worst = 0;
    for (int64_t i = 0; i < layout.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
    CHECK(worst > 0);
    CHECK(worst < tolerance);
  }
}

}  // namespace
}  // namespace hone
