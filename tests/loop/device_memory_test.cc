#include "libs/loop/device_memory.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "libs/engine/engine.h"
#include "libs/train/trainer.h"
#include "libs/weights/snapshot.h"
#include "libs/weights/stager.h"
#include "tests/testing/metered_table.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using testing::HeldBytes;
using testing::MeteredTable;
using testing::SetDeviceBytes;

constexpr int64_t kBeside = 1'000'000'000;

struct Fixture {
  Fixture() {
    folder.config = ParseModelConfig(R"({"model_type":"llama","hidden_size":64,
        "num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
        "intermediate_size":128,"vocab_size":8192,"max_position_embeddings":512,
        "tie_word_embeddings":false})")
                        .value();
    folder.table = &MeteredTable();
    v1::GrpoStage& grpo = *spec.add_stages()->mutable_grpo();
    grpo.set_max_micro_batch_tokens(200);
    grpo.mutable_kl()->set_monitor(true);
  }
  ~Fixture() { SetDeviceBytes(std::numeric_limits<int64_t>::max()); }
  void SetFree(double bytes) { SetDeviceBytes(HeldBytes() + std::llround(bytes)); }

  ModelFolder folder;
  v1::RunSpec spec;
};

void CheckRefused(const absl::Status& status, double needed, const char* help) {
  CHECK_CODE(status, absl::StatusCode::kResourceExhausted);
  const std::string message(status.message());
  INFO(message);
  CHECK(message.find(absl::StrFormat("needs %.1f GB", needed / 1e9)) != std::string::npos);
  CHECK(message.find("1.0 GB are free on metered") != std::string::npos);
  CHECK(message.find(help) != std::string::npos);
}

TEST_CASE("a learner that has no room says so, and one that has room keeps within it", "[loop]") {
  Fixture f;
  const MemoryUse use = TrainingUse(f.spec);
  CHECK(use.micro_batch_tokens == 200);
  CHECK(use.reference);
  const double needed = MemoryOfTraining(f.folder.config, use).total();
  REQUIRE_OK(CheckTrainingMemory(f.spec, f.folder));
  f.SetFree(needed + kBeside - 1);
  CheckRefused(CheckTrainingMemory(f.spec, f.folder), needed, "model.activation_checkpointing");
  f.folder.table = &kernels::Cpu();  // does not know
  CHECK_OK(CheckTrainingMemory(f.spec, f.folder));
  f.folder.table = &MeteredTable();
  f.SetFree(needed + kBeside);
  REQUIRE_OK(CheckTrainingMemory(f.spec, f.folder));

  f.SetFree(1.05 * needed);  // beyond it there is nothing
  const Transformer model(f.folder.config, 0, {}, MeteredTable());
  Trainer trainer(model, {});
  InitializeWeights(model.layout(), 1, trainer.weights());
  trainer.WeightsChanged();
  trainer.BeginStage(/*with_reference=*/true);
  v1::SftStage sft;
  sft.set_steps(1);
  sft.set_max_micro_batch_tokens(200);
  sft.mutable_optimizer()->set_learning_rate(1e-3);
  const std::vector<Demonstration> demonstrations(3, {{3, 4}, std::vector<int32_t>(150, 5)});
  CHECK_OK(trainer.SftStep(sft, demonstrations, 0));
}

TEST_CASE("a worker that has no room says so, and one that has room keeps within it", "[loop]") {
  Fixture f;
  const MemoryUse use{.cache_tokens = 1024, .batch_tokens = 300, .sequences = 64};
  const RolloutMemory m = MemoryOfRollout(f.folder.config, use);
  for (const bool lent : {false, true}) {
    INFO(lent);
    const double needed = lent ? m.total() - m.weights : m.total();
    f.SetFree(needed + kBeside - 1);
    CheckRefused(CheckRolloutMemory(f.folder, use, lent), needed, "--cache-tokens");
    f.SetFree(needed + kBeside);
    CHECK_OK(CheckRolloutMemory(f.folder, use, lent));
  }

  const Transformer model(f.folder.config, 0, {}, MeteredTable());
  const auto weights = std::make_shared<Weights>(model.layout(), DType::kF32);
  f.SetFree(1.05 * m.total() + (1 << 20));  // the smallest block, for digests
  Engine engine(model, nullptr,
                {.max_batch_tokens = 300, .max_sequences = 64, .cache_tokens = 1024},
                [](const GroupRequest&, v1::Completion) {});
  Stager stager("r", model.layout(), DType::kF32, nullptr, MeteredTable());
  for (int64_t version = 1; version < 4; ++version) {
    const auto snapshot = Snapshot::Take(
        {.run_id = "r", .version = version, .layout = model.layout(), .weights = weights});
    REQUIRE(stager.WaitForRoom());
    REQUIRE_OK(stager.Begin(snapshot->manifest()));
    for (const v1::SubscribeResponse& message : snapshot->chunks())
      REQUIRE_OK(stager.Add(message.chunk()));
    engine.SetWeights(stager.Take(), version, InFlight::kKeep);
  }
  REQUIRE_OK(engine.Score(std::vector<int32_t>(400, 5), 1));
}

}  // namespace
}  // namespace hone
