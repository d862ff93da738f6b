// Checkpoints of a trainer whose memory the host cannot touch: the files are those of a trainer on
// the host, and come back to the bit.

#include <filesystem>
#include <map>

#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/loop/training_checkpoint.h"
#include "libs/model/load.h"
#include "libs/model/lora.h"
#include "libs/weights/snapshot.h"
#include "tests/testing/guarded_table.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

v1::ModelSpec Golden() {
  v1::ModelSpec spec;
  spec.set_path(std::string(HONE_GOLDEN_DIR) + "/models/dsv3");
  return spec;
}

// A golden checkpoint under training on one backend.
struct Learner {
  Learner(DType dtype, const LoraConfig& lora, const kernels::Table& table) {
    folder.config = LoadModelConfig(Golden().path()).value();
    folder.dtype = dtype;
    folder.table = &table;
    folder.lora = lora;
    transformer = std::make_unique<Transformer>(folder.config, 64, lora, table);
    trainer = std::make_unique<Trainer>(*transformer, Trainer::Options{.dtype = dtype});
  }
  absl::Status Start() {
    if (transformer->layout().adapted())
      InitializeAdapters(transformer->layout(), 3, trainer->weights());
    HONE_RETURN_IF_ERROR(
        LoadModelWeights(Golden(), folder, transformer->layout(), trainer->weights()));
    trainer->WeightsChanged();
    trainer->BeginStage(/*with_reference=*/true);
    return absl::OkStatus();
  }
  void Step(int64_t step) {
    v1::SftStage sft;
    sft.set_steps(10);
    sft.mutable_optimizer()->set_learning_rate(1e-2);
    const std::vector<Demonstration> demonstrations = {{{3, 4, 5}, {6, 7, 1}}, {{8}, {9, 1}}};
    REQUIRE_OK(trainer->SftStep(sft, demonstrations, step));
  }
  uint64_t Digest() const { return WeightsDigest(trainer->weights()); }

  ModelFolder folder;
  std::unique_ptr<Transformer> transformer;
  std::unique_ptr<Trainer> trainer;
};

// Path and bytes of every file with tensors in a folder.
std::map<std::string, std::string> Tensors(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".safetensors")
      files[std::filesystem::relative(entry.path(), folder).string()] =
          ReadFile(entry.path().string(), int64_t{1} << 30).value();
  return files;
}

TEST_CASE("a run is refused where its device cannot be had", "[loop]") {
  CHECK(TableFor(v1::DEVICE_CPU).value() == &kernels::Cpu());
  CHECK(TableFor(v1::DEVICE_UNSPECIFIED).value() == TableFor(v1::DEVICE_AUTO).value());
  const kernels::Table* cuda = kernels::Cuda();
  if (cuda != nullptr && MissingEntries(*cuda).empty()) HONE_SKIP("there is a complete GPU");
  CHECK(TableFor(v1::DEVICE_AUTO).value() == &kernels::Cpu());
  CHECK_CODE(TableFor(v1::DEVICE_CUDA), absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("a device's checkpoint holds the bytes of the host's and restores the device", "[loop]") {
  const LoraConfig lora{.rank = 2, .alpha = 4, .targets = {LoraConfig::kAllLinear}};
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    if (dtype == DType::kBF16 && !kernels::Cpu().has_bf16()) continue;
    for (const LoraConfig& adapters : {LoraConfig{}, lora}) {
      INFO((dtype == DType::kBF16 ? "bf16" : "f32") << " rank " << adapters.rank);
      const testing::TempDir dir;
      const auto save = [&](Learner& learner, const std::string& name) {
        return SaveCheckpoint(dir.path() + "/" + name, 3, Golden().path(), *learner.transformer,
                              *learner.trainer, {.stage = "sft", .stage_step = 2, .step = 2})
            .value();
      };
      Learner host(dtype, adapters, kernels::Cpu());
      Learner device(dtype, adapters, testing::GuardedTable());
      for (Learner* learner : {&host, &device}) {
        REQUIRE_OK(learner->Start());
        learner->Step(0);
        learner->Step(1);
      }
      const std::string path = save(device, "device");
      const auto files = Tensors(path);
      CHECK(files.size() >= 2);
      CHECK((files == Tensors(save(host, "host"))));

      Learner restored(dtype, adapters, testing::GuardedTable());
      REQUIRE_OK(LoadCheckpoint(path, Golden(), restored.folder, *restored.transformer,
                                *restored.trainer));
      CHECK(restored.Digest() == host.Digest());
      restored.Step(2);
      host.Step(2);
      CHECK(restored.Digest() == host.Digest());
    }
  }
}

}  // namespace
}  // namespace hone
