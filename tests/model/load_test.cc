#include "libs/model/load.h"

#include <sys/resource.h>

#include "libs/model/tensor_map.h"
#include "tests/model/checkpoints.h"
#include "tests/model/goldens.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

TEST_CASE("weights that are not those of the configuration are refused by name and shape",
          "[model]") {
  ModelConfig config = *LoadModelConfig(GoldenPath("dsv3"));
  const auto reader = HfReader::Open(GoldenPath("dsv3"));
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
  CHECK_CODE(LoadModelConfig(GoldenPath("no_such_model")), absl::StatusCode::kNotFound);
}

TEST_CASE("sharded bf16 and fp8 checkpoints load into the same model", "[model]") {
  const ModelConfig config = *LoadModelConfig(GoldenPath("dsv3"));
  const ParameterLayout layout(config);
  Weights want(layout, DType::kF32);
  REQUIRE_OK(LoadWeights(*HfReader::Open(GoldenPath("dsv3")), config, layout, want));
  for (const auto& [name, tolerance] :
       {std::pair{"dsv3_sharded_bf16", 0.02f}, {"dsv3_fp8_b16", 0.2f}}) {
    INFO(name);
    Weights got(layout, DType::kF32);
    REQUIRE_OK(LoadWeights(*HfReader::Open(GoldenPath(name)), config, layout, got));
    const auto* a = static_cast<const float*>(want.parameters.data());
    const auto* b = static_cast<const float*>(got.parameters.data());
    float worst = 0;
    for (int64_t i = 0; i < layout.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
    CHECK(worst > 0);
    CHECK(worst < tolerance);
  }
}

// Peak resident memory of this process so far.
int64_t PeakBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

TEST_CASE("stacked experts are the same model", "[model]") {
  for (const char* name : {"qwen3_moe", "dsv3", "dsv2_lite"}) {
    INFO(name);
    testing::TempDir dir;
    Checkpoint checkpoint = Checkpoint::Read(GoldenPath(name));
    checkpoint.StackExperts();
    checkpoint.Write(dir.path());
    const ModelConfig config = *LoadModelConfig(dir.path());
    const ParameterLayout layout(config);
    Weights want(layout, DType::kF32), got(layout, DType::kF32);
    REQUIRE_OK(LoadWeights(*HfReader::Open(GoldenPath(name)), config, layout, want));
    const auto reader = HfReader::Open(dir.path());
    REQUIRE(reader->Find("model.layers.2.mlp.experts.gate_up_proj") != nullptr);
    REQUIRE(reader->Find("model.layers.2.mlp.experts.0.up_proj.weight") == nullptr);
    REQUIRE_OK(LoadWeights(*reader, config, layout, got));
    CHECK(std::memcmp(want.parameters.data(), got.parameters.data(),
                      static_cast<size_t>(want.parameters.bytes())) == 0);
    CHECK(MapTensors(*reader, config, layout)->carried.empty());
    // One expert too few.
    checkpoint.tensors["model.layers.2.mlp.experts.down_proj"].shape[0] -= 1;
    std::string& bytes = checkpoint.tensors["model.layers.2.mlp.experts.down_proj"].bytes;
    bytes.resize(bytes.size() / static_cast<size_t>(config.moe.experts) *
                 static_cast<size_t>(config.moe.experts - 1));
    checkpoint.Write(dir.path());
    CHECK_CODE(LoadWeights(*HfReader::Open(dir.path()), config, layout, got),
               absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("a tensor that would be lost in silence is refused", "[model]") {
  testing::TempDir dir;
  Checkpoint checkpoint = Checkpoint::Read(GoldenPath("qwen2_bias"));
  const auto load = [&] {
    checkpoint.Write(dir.path());
    const auto config = LoadModelConfig(dir.path());
    REQUIRE_OK(config);
    const ParameterLayout layout(*config);
    Weights weights(layout, DType::kF32);
    return LoadWeights(*HfReader::Open(dir.path()), *config, layout, weights);
  };
  REQUIRE_OK(load());
  SECTION("biases of a model without") {
    checkpoint.config["model_type"] = "llama";
    const absl::Status status = load();
    CHECK_CODE(status, absl::StatusCode::kInvalidArgument);
    CHECK(std::string(status.message()).find("k_proj.bias is no part of the llama model") !=
          std::string::npos);
  }
  SECTION("a head that is not the embedding it is tied to") {
    checkpoint.config["tie_word_embeddings"] = true;
    CHECK_CODE(load(), absl::StatusCode::kInvalidArgument);
    checkpoint.tensors["lm_head.weight"] = checkpoint.tensors["model.embed_tokens.weight"];
    CHECK_OK(load());
    checkpoint.tensors.erase("lm_head.weight");
    CHECK_OK(load());
    checkpoint.config["tie_word_embeddings"] = false;
    CHECK_CODE(load(), absl::StatusCode::kInvalidArgument);
  }
  SECTION("a weight that is not finite") {
    checkpoint.tensors["model.norm.weight"].bytes[3] = '\x7f';
    checkpoint.tensors["model.norm.weight"].bytes[2] = '\x80';
    const absl::Status status = load();
    CHECK_CODE(status, absl::StatusCode::kInvalidArgument);
    CHECK(std::string(status.message()).find("model.norm.weight") != std::string::npos);
  }
}

TEST_CASE("loading takes the model and little beside it", "[model]") {
  testing::TempDir dir;
  Checkpoint checkpoint = Checkpoint::Read(GoldenPath("llama2_mha"));
  // An embedding of 64 MB in bf16: two of it would show.
  const int64_t hidden = checkpoint.config["hidden_size"], vocab = (32 << 20) / hidden;
  checkpoint.config["vocab_size"] = vocab;
  checkpoint.config["tie_word_embeddings"] = true;
  checkpoint.tensors.erase("lm_head.weight");
  checkpoint.Add("model.embed_tokens.weight", "BF16", {vocab, hidden},
                 std::string(static_cast<size_t>(vocab * hidden * 2), '\x01'));
  checkpoint.Write(dir.path());
  checkpoint = {};
  const ModelConfig config = *LoadModelConfig(dir.path());
  const ParameterLayout layout(config);
  Weights weights(layout, DType::kF32);
  const int64_t before = PeakBytes();
  REQUIRE_OK(LoadWeights(*HfReader::Open(dir.path()), config, layout, weights));
  CHECK(weights.parameters.bytes() > 128 << 20);
  CHECK(PeakBytes() - before < 16 << 20);
}

}  // namespace
}  // namespace hone
