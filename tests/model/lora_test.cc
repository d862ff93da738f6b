#include "libs/model/lora.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "libs/base/random.h"
#include "libs/checkpoint/hf_reader.h"
#include "libs/model/adapter.h"
#include "libs/model/load.h"
#include "libs/model/transformer.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

const LoraConfig kAll{.rank = 3, .alpha = 6, .targets = {LoraConfig::kAllLinear}};

std::string Golden(const std::string& name) {
  return std::string(HONE_GOLDEN_DIR) + "/models/" + name;
}

void Fill(const ParameterArena& arena, uint64_t seed, double scale) {
  RandomStream random(seed);
  for (int64_t i = 0; i < arena.size(); ++i)
    static_cast<float*>(arena.data())[i] = static_cast<float>(scale * random.Normal());
}

// A golden checkpoint under adapters with random values.
struct Adapted {
  explicit Adapted(const std::string& name, const LoraConfig& lora = kAll,
                   DType dtype = DType::kF32)
      : config(LoadModelConfig(Golden(name)).value()),
        model(config, 0, lora),
        weights(model.layout(), dtype) {
    REQUIRE_OK(CheckLora(lora, config));
    const HfReader reader = HfReader::Open(Golden(name)).value();
    REQUIRE_OK(LoadWeights(reader, config, model.layout(), weights));
    Fill(weights.adapters, 5, 0.1);
    Merge();
  }
  void Merge() { MergeAdapters(on, arena, model.layout(), weights); }

  ModelConfig config;
  Transformer model;
  Weights weights;
  Device on{kernels::Cpu(), 1};
  Arena arena;
};

// The model without adapters whose tensors are the merged ones.
Weights Plain(const Adapted& a, const Transformer& plain) {
  Weights w(plain.layout(), a.weights.parameters.dtype());
  std::memcpy(w.parameters.data(), a.weights.parameters.data(),
              static_cast<size_t>(w.parameters.bytes()));
  std::memcpy(w.biases.data(), a.weights.biases.data(), static_cast<size_t>(w.biases.bytes()));
  for (const ParameterLayout::Layer& layer : a.model.layout().layers())
    for (const ParameterLayout::Adapter& adapter : layer.adapters) {
      const Matrix from = a.weights.View(adapter.target);
      const Matrix to = w.parameters.View(adapter.target);
      std::memcpy(to.data, from.data,
                  static_cast<size_t>(from.rows * from.cols * BytesOf(from.dtype)));
    }
  return w;
}

Batch SomeBatch(const ModelConfig& config) {
  Batch batch;
  RandomStream random(uint64_t{3});
  constexpr int kTokens = 23;
  for (int i = 0; i < kTokens; ++i) {
    batch.ids.push_back(static_cast<int32_t>(random.Below(static_cast<uint64_t>(config.vocab))));
    batch.positions.push_back(i);
    batch.kv_rows.push_back(i);
  }
  batch.q_start = batch.kv_start = {0, kTokens};
  batch.cluster_start = {0, 1};
  return batch;
}

// Hidden states, and the gradients of sum(hidden * direction).
std::vector<float> Gradients(const Transformer& model, const Weights& weights, const Device& on,
                             ParameterArena& gradients) {
  Arena arena;
  const Batch batch = SomeBatch(model.config());
  SavedForward saved;
  const Matrix hidden = model.Forward(on, arena, weights, batch, saved);
  std::vector<float> out(hidden.f32(), hidden.f32() + hidden.rows * hidden.cols);
  const Matrix dhidden = arena.NewMatrix(hidden.rows, hidden.cols, DType::kF32);
  RandomStream random(uint64_t{11});
  for (int64_t i = 0; i < dhidden.rows * dhidden.cols; ++i)
    dhidden.f32()[i] = static_cast<float>(random.Normal());
  model.Backward(on, arena, weights, batch, saved, dhidden, 0, gradients);
  return out;
}

TEST_CASE("with adapters a model computes what the merged model computes, and W + s B A",
          "[model]") {
  for (const char* name : {"dsv3", "dsv2_lite", "qwen3_moe", "llama_gqa_linear"}) {
    INFO(name);
    Adapted a(name);
    for (const ParameterLayout::Layer& layer : a.model.layout().layers())
      for (const ParameterLayout::Adapter& adapter : layer.adapters) {
        const Matrix w = a.weights.parameters.View(adapter.target);
        const Matrix merged = a.weights.View(adapter.target);
        const Matrix x = a.weights.adapters.View(adapter.a);
        const Matrix b = a.weights.adapters.View(adapter.b);
        double worst = 0;
        for (int64_t r = 0; r < w.rows; ++r)
          for (int64_t c = 0; c < w.cols; ++c) {
            double sum = w.f32()[r * w.cols + c];
            for (int64_t k = 0; k < 3; ++k)
              sum += 2.0 * b.f32()[r * 3 + k] * x.f32()[k * w.cols + c];
            worst = std::max(worst, std::abs(sum - merged.f32()[r * w.cols + c]));
          }
        REQUIRE(worst < 1e-5);
      }
    const Transformer plain(a.config);
    const Weights merged = Plain(a, plain);
    ParameterArena ga(a.model.layout().trained_size(), DType::kF32);
    ParameterArena gp(plain.layout().size(), DType::kF32);
    REQUIRE(Gradients(a.model, a.weights, a.on, ga) == Gradients(plain, merged, a.on, gp));

    // By the chain rule from the merged model's gradients, in float64.
    double difference = 0, norm = 0;
    const auto add = [&](double want, float got) {
      difference += (want - got) * (want - got);
      norm += want * want;
    };
    for (const ParameterLayout::Layer& layer : a.model.layout().layers())
      for (const ParameterLayout::Adapter& adapter : layer.adapters) {
        const Matrix dw = gp.View(adapter.target);
        const Matrix x = a.weights.adapters.View(adapter.a);
        const Matrix b = a.weights.adapters.View(adapter.b);
        for (int64_t k = 0; k < 3; ++k) {
          for (int64_t r = 0; r < dw.rows; ++r) {
            double sum = 0;
            for (int64_t c = 0; c < dw.cols; ++c)
              sum += 2.0 * dw.f32()[r * dw.cols + c] * x.f32()[k * dw.cols + c];
            add(sum, ga.View(adapter.b).f32()[r * 3 + k]);
          }
          for (int64_t c = 0; c < dw.cols; ++c) {
            double sum = 0;
            for (int64_t r = 0; r < dw.rows; ++r)
              sum += 2.0 * dw.f32()[r * dw.cols + c] * b.f32()[r * 3 + k];
            add(sum, ga.View(adapter.a).f32()[k * dw.cols + c]);
          }
        }
      }
    CHECK(norm > 0);
    CHECK(std::sqrt(difference / norm) < 1e-5);
  }
}

TEST_CASE("new adapters change nothing; only targets have them", "[model]") {
  Adapted a("dsv3", {.rank = 2, .alpha = 2, .targets = {"o_proj", "kv_b_proj"}});
  InitializeAdapters(a.model.layout(), 1, a.weights);
  a.Merge();
  CHECK(a.model.layout().trained().size() == 4 * static_cast<size_t>(a.config.layers));
  bool random = false;
  for (const ParameterLayout::Layer& layer : a.model.layout().layers()) {
    CHECK(layer.input.merged == -1);
    for (const ParameterLayout::Adapter& adapter : layer.adapters) {
      const Matrix w = a.weights.parameters.View(adapter.target);
      CHECK(std::memcmp(w.data, a.weights.View(adapter.target).data,
                        static_cast<size_t>(w.rows * w.cols) * 4) == 0);
      random = random || a.weights.adapters.View(adapter.a).f32()[0] != 0;
    }
  }
  CHECK(random);
  CHECK_CODE(CheckLora({.rank = 2, .alpha = 2, .targets = {"k_proj"}}, a.config),
             absl::StatusCode::kInvalidArgument);
  CHECK(CheckLora({.rank = 2, .alpha = 2, .targets = {"k_proj"}}, a.config)
            .message()
            .find("kv_b_proj") != absl::string_view::npos);
}

TEST_CASE("adapters go to PEFT's files and come back to the bit", "[model]") {
  testing::TempDir dir;
  Adapted a("qwen3_moe");
  const std::string path = dir.path() + "/out";
  const auto folder = FolderWriter::Create(path);
  REQUIRE_OK(folder);
  REQUIRE_OK(SaveAdapters(**folder, "adapter", "/models/base", a.model.layout(), a.weights));
  REQUIRE_OK((*folder)->Commit());
  const auto lora = ReadAdapterConfig(path + "/adapter");
  REQUIRE_OK(lora);
  CHECK(lora->rank == 3);
  CHECK(lora->alpha == 6);
  CHECK(lora->targets == kAll.targets);
  Adapted b("qwen3_moe", *lora);
  Fill(b.weights.adapters, 99, 1);
  REQUIRE_OK(LoadAdapters(path + "/adapter", b.model.layout(), b.weights.adapters));
  CHECK(std::memcmp(a.weights.adapters.data(), b.weights.adapters.data(),
                    static_cast<size_t>(a.weights.adapters.bytes())) == 0);
  // Of another model.
  Adapted c("llama_gqa_linear", *lora);
  CHECK_CODE(LoadAdapters(path + "/adapter", c.model.layout(), c.weights.adapters),
             absl::StatusCode::kInvalidArgument);
}

TEST_CASE("an adapter_config.json that asks for more is refused by name", "[model]") {
  testing::TempDir dir;
  const auto read = [&](const std::string& fields) {
    std::FILE* f = std::fopen((dir.path() + "/adapter_config.json").c_str(), "w");
    std::fputs(("{\"peft_type\": \"LORA\", " + fields + "}").c_str(), f);
    std::fclose(f);
    return ReadAdapterConfig(dir.path());
  };
  const std::string good =
      R"("r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "mlp.up_proj"])";
  const auto lora =
      read(good + R"(, "use_dora": false, "rank_pattern": {}, "modules_to_save": null)");
  REQUIRE_OK(lora);
  CHECK(lora->targets == std::vector<std::string>{"q_proj", "up_proj"});
  CHECK(read(good + R"(, "use_rslora": true)")->scale() == Approx(16 / std::sqrt(8.0)));
  for (const char* bad : {"\"use_dora\": true", "\"bias\": \"all\"", "\"lora_bias\": true",
                          "\"rank_pattern\": {\"q_proj\": 4}", "\"modules_to_save\": [\"lm_head\"]",
                          "\"layers_to_transform\": [1]"}) {
    const absl::Status s = read(good + ", " + bad).status();
    CHECK(s.code() == absl::StatusCode::kInvalidArgument);
    const std::string field = std::string(bad).substr(1, std::string(bad).find(':') - 2);
    CHECK(s.message().find(field) != absl::string_view::npos);
  }
  CHECK_CODE(read(R"("r": 0, "lora_alpha": 16, "target_modules": ["q_proj"])"),
             absl::StatusCode::kInvalidArgument);
  CHECK_CODE(read(R"("r": 8, "lora_alpha": 16, "target_modules": ".*q_proj")"),
             absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone
