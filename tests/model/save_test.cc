#include "libs/model/save.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "libs/base/random.h"
#include "libs/model/adapter.h"
#include "libs/model/load.h"
#include "libs/model/lora.h"
#include "libs/model/tensor_map.h"
#include "nlohmann/json.hpp"
#include "tests/model/checkpoints.h"
#include "tests/model/goldens.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using nlohmann::json;

json ReadJson(const std::string& path) {
  std::ifstream in(path);
  return json::parse(in);
}

std::string Raw(const HfReader& reader, const std::string& name) {
  const HfTensor* t = reader.Find(name);
  REQUIRE(t != nullptr);
  std::string bytes(static_cast<size_t>(t->bytes), '\0');
  REQUIRE_OK(reader.ReadRaw(name, 0, bytes.data(), bytes.size()));
  return bytes;
}

struct Loaded {
  explicit Loaded(const std::string& dir, DType dtype = DType::kF32)
      : config(*LoadModelConfig(dir)), layout(config), weights(layout, dtype) {
    const auto reader = HfReader::Open(dir);
    REQUIRE_OK(reader);
    REQUIRE_OK(LoadWeights(*reader, config, layout, weights));
  }
  bool SameAs(const Loaded& other) const {
    const auto same = [](const ParameterArena& a, const ParameterArena& b) {
      return a.bytes() == b.bytes() &&
             std::memcmp(a.data(), b.data(), static_cast<size_t>(a.bytes())) == 0;
    };
    return same(weights.parameters, other.weights.parameters) &&
           same(weights.biases, other.weights.biases);
  }
  ModelConfig config;
  ParameterLayout layout;
  Weights weights;
};

absl::Status Convert(const std::string& from, const std::string& to, DType dtype,
                     int64_t shard = 1 << 20, const std::string& adapter = "") {
  auto folder = FolderWriter::Create(to);
  REQUIRE_OK(folder);
  if (const absl::Status s =
          ConvertModel(**folder, "", from, dtype, {.max_shard_bytes = shard}, adapter);
      !s.ok())
    return s;
  return (*folder)->Commit();
}

TEST_CASE("every architecture survives conversion to the bit", "[model]") {
  for (const char* name : kGoldens) {
    INFO(name);
    testing::TempDir dir;
    REQUIRE_OK(Convert(GoldenPath(name), dir.path() + "/a", DType::kF32));
    const Loaded source(GoldenPath(name));
    CHECK(source.SameAs(Loaded(dir.path() + "/a")));
    // The same tensors under the same names: nothing is added, nothing lost.
    const auto before = HfReader::Open(GoldenPath(name)), after = HfReader::Open(dir.path() + "/a");
    REQUIRE(before->tensors().size() == after->tensors().size());
    for (const HfTensor& t : before->tensors()) CHECK(Raw(*before, t.name) == Raw(*after, t.name));

    // Saved from memory, in shards: the same model.
    auto folder = FolderWriter::Create(dir.path() + "/b");
    REQUIRE_OK(folder);
    REQUIRE_OK(SaveModel(**folder, "", GoldenPath(name), source.config, source.layout,
                         source.weights, {.max_shard_bytes = 20000}));
    REQUIRE_OK((*folder)->Commit());
    CHECK(std::filesystem::exists(dir.path() + "/b/model.safetensors.index.json"));
    CHECK(source.SameAs(Loaded(dir.path() + "/b")));

    REQUIRE_OK(Convert(GoldenPath(name), dir.path() + "/c", DType::kBF16));
    CHECK(Loaded(GoldenPath(name), DType::kBF16).SameAs(Loaded(dir.path() + "/c", DType::kBF16)));
    CHECK(ReadJson(dir.path() + "/c/config.json")["dtype"] == "bfloat16");
    CHECK(ReadJson(dir.path() + "/c/config.json")["torch_dtype"] == "bfloat16");
  }
}

TEST_CASE("fp8 becomes bf16 without a trace of its scales", "[model]") {
  for (const char* name : {"dsv3_fp8_b16", "dsv3_fp8_b128"}) {
    INFO(name);
    testing::TempDir dir;
    REQUIRE_OK(Convert(GoldenPath(name), dir.path() + "/a", DType::kBF16));
    const auto reader = HfReader::Open(dir.path() + "/a");
    REQUIRE_OK(reader);
    for (const HfTensor& t : reader->tensors()) {
      CHECK(t.name.find(kScaleSuffix) == std::string::npos);
      const bool bias = t.name.find("e_score_correction_bias") != std::string::npos;
      CHECK(t.dtype == (bias ? StoredDType::kF32 : StoredDType::kBF16));
    }
    CHECK_FALSE(ReadJson(dir.path() + "/a/config.json").contains("quantization_config"));
    CHECK(Loaded(GoldenPath(name), DType::kBF16).SameAs(Loaded(dir.path() + "/a", DType::kBF16)));
  }
}

TEST_CASE("a merged adapter gives the bits that rollout and learner compute with", "[model]") {
  for (const char* name : {"dsv3_sharded_bf16", "qwen3_moe"})
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      INFO(name);
      testing::TempDir dir;
      const ModelConfig config = *LoadModelConfig(GoldenPath(name));
      const ParameterLayout layout(config,
                                   {.rank = 3, .alpha = 6, .targets = {LoraConfig::kAllLinear}});
      Weights weights(layout, dtype);
      REQUIRE_OK(LoadWeights(*HfReader::Open(GoldenPath(name)), config, layout, weights));
      RandomStream random(uint64_t{5});
      for (int64_t i = 0; i < layout.adapters_size(); ++i)
        static_cast<float*>(weights.adapters.data())[i] = static_cast<float>(0.1 * random.Normal());
      auto folder = FolderWriter::Create(dir.path() + "/run");
      REQUIRE_OK(SaveAdapters(**folder, "adapter", GoldenPath(name), layout, weights));
      REQUIRE_OK((*folder)->Commit());
      const std::string adapter = dir.path() + "/run/adapter";
      REQUIRE_OK(Convert(GoldenPath(name), dir.path() + "/merged", dtype, 20000, adapter));

      Arena arena;
      MergeAdapters(Device(kernels::Cpu(), 2), arena, layout, weights);
      const auto written = HfReader::Open(dir.path() + "/merged");
      REQUIRE_OK(written);
      size_t merged = 0;
      for (const ParameterLayout::Layer& layer : layout.layers())
        for (const ParameterLayout::Adapter& a : layer.adapters) {
          const Matrix want = weights.View(a.target);
          const std::string got = Raw(*written, a.module + ".weight");
          REQUIRE(got.size() == static_cast<size_t>(want.rows * want.cols * BytesOf(dtype)));
          CHECK(std::memcmp(got.data(), want.data, got.size()) == 0);
          ++merged;
        }
      CHECK(merged > 20);
      // A plain checkpoint: the source's tensors, and those without an adapter unchanged.
      CHECK(written->tensors().size() == HfReader::Open(GoldenPath(name))->tensors().size());
      const Loaded before(GoldenPath(name), dtype), after(dir.path() + "/merged", dtype);
      const auto norm = before.layout.final_norm();
      CHECK(std::memcmp(before.weights.parameters.View(norm).data,
                        after.weights.parameters.View(norm).data,
                        static_cast<size_t>(norm.cols * BytesOf(dtype))) == 0);
      // Of another model.
      CHECK_CODE(Convert(GoldenPath("llama2_mha"), dir.path() + "/other", dtype, 20000, adapter),
                 absl::StatusCode::kInvalidArgument);
    }
}

TEST_CASE("layers for multi-token prediction are carried through byte for byte", "[model]") {
  testing::TempDir dir;
  const std::string source = dir.path() + "/source";
  // Tensors of layer 3 of a model with layers 0 to 2, in types of their own.
  Checkpoint checkpoint = Checkpoint::Read(GoldenPath("dsv3"));
  const std::string noise = [] {
    std::string s;
    for (uint32_t i = 0, x = 1; i < 4096; ++i) s.push_back(static_cast<char>(x = x * 75 % 65537));
    return s;
  }();
  checkpoint.Add("model.layers.3.enorm.weight", "BF16", {32}, noise.substr(0, 64));
  checkpoint.Add("model.layers.3.eh_proj.weight", "BF16", {32, 32}, noise.substr(64, 2048));
  checkpoint.Add("model.layers.3.mlp.experts.0.up_proj.weight", "F32", {3, 5},
                 noise.substr(100, 60));
  checkpoint.Add("model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {2}, noise.substr(7, 8));
  checkpoint.Write(source);

  const Loaded model(source);
  const auto reader = HfReader::Open(source);
  REQUIRE_OK(reader);
  const auto map = MapTensors(*reader, model.config, model.layout);
  REQUIRE_OK(map);
  REQUIRE(map->carried.size() == 4);
  REQUIRE_OK(Convert(source, dir.path() + "/a", DType::kBF16));
  auto folder = FolderWriter::Create(dir.path() + "/b");
  REQUIRE_OK(SaveModel(**folder, "hf", source, model.config, model.layout, model.weights));
  REQUIRE_OK((*folder)->Commit());
  for (const std::string& to : {dir.path() + "/a", dir.path() + "/b/hf"}) {
    const auto written = HfReader::Open(to);
    REQUIRE_OK(written);
    for (const HfTensor& t : map->carried) {
      INFO(t.name);
      CHECK(Raw(*reader, t.name) == Raw(*written, t.name));
      CHECK(written->Find(t.name)->dtype == t.dtype);
      CHECK(written->Find(t.name)->shape == t.shape);
    }
  }
}

TEST_CASE("a converted folder says its rotary embedding and dtype in both spellings", "[model]") {
  const auto exported = [](const json& config) {
    const auto text = ExportedConfig(config.dump(), DType::kF32);
    REQUIRE_OK(text);
    return json::parse(*text);
  };
  const json four = exported({{"rope_theta", 5e4}, {"rope_scaling", nullptr}, {"x", 1}});
  CHECK(four["rope_parameters"] == json({{"rope_type", "default"}, {"rope_theta", 5e4}}));
  CHECK(four["rope_theta"] == 5e4);
  CHECK(four["rope_scaling"].is_null());
  CHECK(four["x"] == 1);
  CHECK(four["dtype"] == "float32");
  const json yarn =
      exported({{"rope_theta", 1e4}, {"rope_scaling", {{"type", "yarn"}, {"factor", 40}}}});
  CHECK(yarn["rope_parameters"] ==
        json({{"rope_type", "yarn"}, {"factor", 40}, {"rope_theta", 1e4}}));
  CHECK(yarn["rope_scaling"] == json({{"rope_type", "yarn"}, {"type", "yarn"}, {"factor", 40}}));
  const json five = exported(
      {{"rope_parameters", {{"rope_type", "linear"}, {"factor", 4}, {"rope_theta", 1e5}}}});
  CHECK(five["rope_theta"] == 1e5);
  CHECK(five["rope_scaling"]["type"] == "linear");
  CHECK(
      exported({{"quantization_config", {{"quant_method", "fp8"}}}}).count("quantization_config") ==
      0);
  CHECK(exported({{"num_local_experts", 8}})["num_experts"] == 8);
  // Written twice is written once.
  CHECK(exported(yarn) == yarn);
  CHECK_CODE(ExportedConfig("[1]", DType::kF32), absl::StatusCode::kInvalidArgument);
  // And every golden keeps its meaning.
  for (const char* name : kGoldens) {
    INFO(name);
    json config = ReadJson(GoldenPath(name) + "/config.json");
    const ModelConfig before = *ParseModelConfig(config.dump());
    config = exported(config);
    for (const char* drop : {"", "rope_parameters"}) {
      config.erase(drop);
      const ModelConfig after = *ParseModelConfig(config.dump());
      CHECK(ComputeRopeFrequencies(before).inv_freq == ComputeRopeFrequencies(after).inv_freq);
      CHECK(before.softmax_scale() == after.softmax_scale());
    }
  }
}

}  // namespace
}  // namespace hone
