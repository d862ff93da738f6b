#include <algorithm>

#include "libs/checkpoint/hf_reader.h"
#include "libs/model/adapter.h"
#include "nlohmann/json.hpp"
#include "tests/cli/coordinator.h"
#include "tests/testing/tiny_model.h"

namespace hone::testing {
namespace {

using Catch::Matchers::Contains;
using nlohmann::json;

std::string Golden(const std::string& name) {
  return std::string(HONE_GOLDEN_DIR) + "/models/" + name;
}

json SmallConfig(size_t example) {
  const ExampleModel model = ExampleModels()[example];
  json config = model.config;
  config.update(model.small);
  return config;
}

TEST_CASE("inspect says what a model is and what it takes", "[cli]") {
  const Outcome table = Hone({"model", "inspect", Golden("dsv3"), "--precision", "f32"});
  CHECK(table.err == "");
  REQUIRE(table.code == 0);
  CHECK_THAT(table.out, Contains("deepseek_v3: MLA, 4 heads, latent 16 + 8, q-LoRA 24"));
  CHECK_THAT(table.out, Contains("3 of 8 experts and 1 shared, sigmoid gate"));
  CHECK_THAT(table.out, Contains("YaRN rope theta 10000 factor 40"));
  CHECK_THAT(table.out, Contains("no tokenizer") && Contains("key/value cache, 131,072 tokens"));

  const Outcome out = Hone({"model", "inspect", Golden("qwen2_bias"), "--precision", "f32",
                            "--cache-tokens", "100", "-o", "json"});
  REQUIRE(out.code == 0);
  const json info = json::parse(out.out);
  const auto number = [](const json& v) { return std::stoll(v.get<std::string>()); };
  const int64_t parameters = number(info["parameters"]);
  CHECK(number(info["storedBytes"]) == parameters * 4);
  CHECK(number(info["activeParameters"]) == parameters);
  CHECK(info["storedAs"] == "F32");
  const json& memory = info["memory"];
  // 3 layers, keys and values of 2 heads of 8.
  CHECK(number(memory["cacheBytesPerToken"]) == 3 * 2 * 2 * 8 * 4);
  CHECK(number(memory["rollout"]["cache"]) == 100 * number(memory["cacheBytesPerToken"]));
  CHECK(number(memory["training"]["gradients"]) == parameters * 4);
  CHECK(number(memory["training"]["moments"]) == parameters * 8);
  CHECK(number(memory["training"]["masters"]) == 0);
  CHECK(number(memory["training"]["reference"]) == 0);
  const json bf16 = json::parse(
      Hone({"model", "inspect", Golden("qwen2_bias"), "--reference", "-o", "json"}).out)["memory"];
  CHECK(number(bf16["training"]["masters"]) == parameters * 4.125);
  CHECK(number(bf16["training"]["reference"]) == parameters * 2);
  // In one process one copy of the weights; what workers fetch is memory of the host.
  CHECK(number(bf16["training"]["snapshot"]) == parameters * 3);
  double parts = 0;
  for (const char* part :
       {"weights", "gradients", "moments", "masters", "reference", "activations", "head"})
    parts += number(bf16["training"][part]);
  CHECK(number(bf16["training"]["total"]) == Approx(parts));
  CHECK(number(bf16["colocated"]) ==
        Approx(parts + number(bf16["rollout"]["total"]) - parameters * 2));

  CHECK(Hone({"model", "inspect", Golden("nothing")}).code == 3);
  CHECK_THAT(Hone({"model", "inspect", Golden("dsv3_fp8_b16")}).out, Contains("F8_E4M3"));
}

TEST_CASE("convert writes a folder that verifies", "[cli]") {
  TempDir dir;
  WriteTinyModel(dir.path() + "/model", SmallConfig(3));
  const std::string to = dir.path() + "/bf16";
  const Outcome out =
      Hone({"model", "convert", dir.path() + "/model", to, "--max-shard-gb", "2e-5"});
  CHECK(out.err == "");
  REQUIRE(out.code == 0);
  CHECK(std::filesystem::exists(to + "/model.safetensors.index.json"));
  CHECK(std::filesystem::exists(to + "/tokenizer.json"));
  CHECK(HfReader::Open(to)->Find("lm_head.weight")->dtype == StoredDType::kBF16);
  CHECK(Hone({"model", "verify", to}).code == 0);
  CHECK_THAT(Hone({"model", "convert", dir.path() + "/model", to}).err, Contains("exists"));
}

TEST_CASE("convert merges an adapter, a PEFT folder or one in a run's checkpoint", "[cli]") {
  TempDir dir;
  const std::string model = dir.path() + "/model", run = dir.path() + "/step-1";
  WriteTinyModel(model, SmallConfig(3));
  const ModelConfig config = *LoadModelConfig(model);
  const ParameterLayout layout(config, {.rank = 2, .alpha = 4, .targets = {"o_proj"}});
  Weights weights(layout, DType::kF32);
  std::fill_n(static_cast<float*>(weights.adapters.data()), weights.adapters.size(), 0.25f);
  const auto folder = FolderWriter::Create(run);
  REQUIRE_OK(SaveAdapters(**folder, "adapter", model, layout, weights));
  REQUIRE_OK((*folder)->Commit());
  std::vector<std::vector<float>> values;
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--adapter", run}, {"--adapter", run + "/adapter"}}) {
    const std::string to = dir.path() + "/to-" + std::to_string(values.size());
    std::vector<std::string> arguments = {"model", "convert", model, to, "--precision", "f32"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome out = Hone(arguments);
    INFO(out.err);
    REQUIRE(out.code == 0);
    CHECK(Hone({"model", "verify", to, "--tokens", "4"}).code == 0);
    std::vector<float>& v = values.emplace_back(32);
    REQUIRE_OK(HfReader::Open(to)->ReadElements("model.layers.1.self_attn.o_proj.weight", 0, 32,
                                                DType::kF32, v.data(), {}));
  }
  for (size_t i = 0; i < 32; ++i)  // alpha / rank * sum over 2 of 0.25 * 0.25
    CHECK(values[1][i] == Approx(values[0][i] + 0.25).margin(1e-6));
  CHECK(values[1] == values[2]);
  const Outcome none =
      Hone({"model", "convert", model, dir.path() + "/none", "--adapter", dir.path()});
  CHECK(none.code == 3);
  CHECK_THAT(none.err, Contains("adapter_config.json"));
}

TEST_CASE("verify finds what is wrong with a model", "[cli]") {
  TempDir dir;
  const std::string model = dir.path() + "/model";
  WriteTinyModel(model, SmallConfig(0));
  const auto verify = [&](std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"model", "verify", model, "--tokens", "8"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Hone(arguments);
  };
  const auto edit = [&](const std::string& file, auto change) {
    std::ifstream in(model + "/" + file);
    json value = json::parse(in);
    change(value);
    std::ofstream(model + "/" + file) << value.dump();
  };
  const Outcome good = verify();
  INFO(good.out);
  REQUIRE(good.code == 0);
  CHECK_THAT(good.out, Contains("8 greedy tokens, mean log-probability") &&
                           Contains("the same to the bit") && Contains("262 ids for 300 rows"));
  CHECK_THAT(verify({"--prompt", "Two and three"}).out, Contains("8 greedy tokens"));
  const json report = json::parse(verify({"--no-generation", "-o", "json"}).out);
  CHECK(report["passed"] == true);
  CHECK(report["checks"].back()["skipped"] == true);
  CHECK_THAT(verify({"--device", "cpu"}).out, Contains("8 greedy tokens"));
  CHECK(verify({"--device", "tpu"}).code == 2);
  if (kernels::Cuda() == nullptr) {
    CHECK_THAT(verify({"--device", "cuda"}).err, Contains("use cpu or auto"));
  }

  SECTION("a value") {
    const auto reader = HfReader::Open(model);
    // The last bytes of the file are those of some weight.
    std::fstream file(model + "/model.safetensors",
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-4, std::ios::end);
    file.write("\x00\x00\xc0\x7f", 4);
    file.close();
    for (const char* how : {"--no-generation", "--threads=1"}) {
      const Outcome bad = verify({how});
      CHECK(bad.code == 1);
      CHECK_THAT(bad.out, Contains("FAILED") && Contains("is not finite"));
    }
  }
  SECTION("a shape") {
    edit("config.json", [](json& c) { c["intermediate_size"] = 64; });
    const Outcome bad = verify();
    CHECK(bad.code == 1);
    CHECK_THAT(bad.out,
               Contains("gate_proj.weight has shape [48, 32]; config.json makes it [64, 32]"));
  }
  SECTION("a cut file") {
    std::filesystem::resize_file(model + "/model.safetensors", 5000);
    CHECK_THAT(verify().out, Contains("FAILED") && Contains("model.safetensors"));
  }
  SECTION("more tokens than rows") {
    edit("tokenizer.json", [](json& t) { t["added_tokens"][5]["id"] = 300; });
    const Outcome bad = verify();
    CHECK(bad.code == 1);
    CHECK_THAT(bad.out, Contains("ids up to 300, the embedding has only 300 rows"));
  }
  SECTION("an end of sequence without a token") {
    edit("config.json", [](json& c) { c["eos_token_id"] = {256, 290}; });
    CHECK_THAT(verify().out, Contains("no token for eos_token_id 290"));
  }
}

TEST_CASE("the run files of deploy/examples come to sums that can be had", "[cli]") {
  for (const ExampleModel& example : ExampleModels()) {
    INFO(example.run);
    TempDir dir;
    const std::string file = std::string(HONE_EXAMPLES_DIR) + "/" + example.run + ".yaml";
    // Without the model's folder: valid, and no word about memory.
    const Outcome alone = Hone({"config", "validate", file});
    CHECK(alone.code == 0);
    CHECK_THAT(alone.out, Contains("grpo") && !Contains("MEMORY"));
    CHECK_THAT(alone.err, Contains("a valid run file") && Contains("no figures for memory"));

    std::ofstream(dir.path() + "/config.json") << example.config.dump();
    const std::string path = "model.path=" + dir.path();
    const Outcome table = Hone({"config", "validate", file, "--set", path});
    CHECK(table.code == 0);
    CHECK_THAT(table.out, Contains("MEMORY (bf16)") && Contains("f32 masters"));
    const json plan =
        json::parse(Hone({"config", "validate", file, "--set", path, "-o", "json"}).out);
    const auto number = [](const json& v) { return std::stod(v.get<std::string>()); };
    const json& stage = plan["stages"][0];
    CHECK(number(stage["completionsPerStep"]) ==
          number(stage["promptsPerStep"]) * number(stage["groupSize"]));
    CHECK(number(stage["completionsPerUpdate"]) * number(stage["updatesPerStep"]) ==
          number(stage["completionsPerStep"]));
    const json& training = plan["memory"]["training"];
    CHECK(number(training["masters"]) / 4.125 == Approx(example.parameters).epsilon(0.01));
    CHECK(number(training["reference"]) == number(training["weights"]));  // kl.monitor
    // Every micro-batch has room for the longest sequence.
    CHECK(number(training["microBatchTokens"]) >= number(stage["maxNewTokens"]));
  }
}

}  // namespace
}  // namespace hone::testing
