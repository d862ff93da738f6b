// What a trainer takes of its device's memory.

#include "libs/train/trainer.h"

#include "libs/model/lora.h"
#include "libs/model/memory.h"
#include "tests/testing/metered_table.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using testing::ForgetPeak;
using testing::HeldBytes;
using testing::MeteredTable;
using testing::PeakBytes;

ModelConfig Small() {
  return ParseModelConfig(R"({"model_type":"llama","hidden_size":64,"num_hidden_layers":2,
      "num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":128,"vocab_size":8192,
      "max_position_embeddings":512,"tie_word_embeddings":false})")
      .value();
}

TEST_CASE("loaded weights find one optimiser's memory", "[train]") {
  const DType dtype = GENERATE(DType::kF32, DType::kBF16);
  const Transformer model(Small(), 0, {}, MeteredTable());
  Trainer trainer(model, {.dtype = dtype});
  const int64_t held = HeldBytes();
  ForgetPeak();
  trainer.WeightsChanged();
  CHECK(HeldBytes() == held);
  CHECK(PeakBytes() == held);
}

TEST_CASE("a training pass takes the memory that is predicted, from its beginning", "[train]") {
  const DType dtype = GENERATE(DType::kF32, DType::kBF16);
  if (dtype == DType::kBF16 && !MeteredTable().has_bf16()) return;
  const LoraConfig lora{.rank = 2, .alpha = 4, .targets = {LoraConfig::kAllLinear}};
  const bool adapted = GENERATE(false, true);
  const ModelConfig config = Small();
  const Transformer model(config, 0, adapted ? lora : LoraConfig{}, MeteredTable());
  Trainer trainer(model, {.dtype = dtype});
  InitializeWeights(model.layout(), 1, trainer.weights());
  if (adapted) InitializeAdapters(model.layout(), 1, trainer.weights());
  trainer.WeightsChanged();
  trainer.BeginStage(/*with_reference=*/false);
  const std::vector<Demonstration> demonstrations = {
      {{3, 4, 5}, std::vector<int32_t>(90, 6)}, {{7}, std::vector<int32_t>(60, 8)}, {{9}, {1}}};
  v1::SftStage sft;
  sft.set_steps(3);
  sft.mutable_optimizer()->set_learning_rate(1e-3);
  const int64_t held = HeldBytes() - (adapted ? 1 << 20 : 0);  // merging took a block
  for (const int64_t tokens : {70, 100, 1000}) {
    sft.set_max_micro_batch_tokens(tokens);
    ForgetPeak();
    REQUIRE_OK(trainer.SftStep(sft, demonstrations, 0));
    const int64_t most = tokens < 1000 ? 92 : 152;
    const TrainingMemory predicted =
        MemoryOfTraining(config, {.dtype = dtype,
                                  .micro_batch_tokens = most,
                                  .scored_tokens = most,
                                  .lora = adapted ? lora : LoraConfig{}});
    INFO(tokens);
    const double layer = adapted ? predicted.gradients - predicted.moments / 2 : 0;  // merged
    const double want = predicted.activations + predicted.head + layer;
    CHECK(static_cast<double>(HeldBytes() - held) / want == Approx(1).epsilon(0.04));
    CHECK(PeakBytes() == HeldBytes());
  }
}

// With logits of `rows` rows at a time.
struct Chunked {
  explicit Chunked(int64_t rows) : bytes(rows * 4 * config.vocab) {
    trainer =
        std::make_unique<Trainer>(model, Trainer::Options{.threads = 2, .head_chunk_bytes = bytes});
    InitializeWeights(model.layout(), 1, trainer->weights());
    trainer->WeightsChanged();
    trainer->BeginStage(/*with_reference=*/false);
  }
  ModelConfig config = Small();
  Transformer model{config, 0, {}, MeteredTable()};
  const int64_t bytes;
  std::unique_ptr<Trainer> trainer;
};

TEST_CASE("logits of a long completion are bounded, and their division changes no logprob",
          "[train]") {
  const std::vector<int32_t> prompt = {3, 4, 5};
  std::vector<int32_t> completion;
  for (int32_t i = 0; i < 300; ++i) completion.push_back(7 + i * 13 % 8000);
  const std::vector<TrainSequence> sequences = {{.prompt = prompt, .completion = completion}};
  v1::SftStage sft;
  sft.set_steps(1);
  sft.mutable_optimizer()->set_learning_rate(1e-3);
  const std::vector<Demonstration> demonstrations = {{prompt, completion}};

  Chunked whole(1000);
  const auto logp = whole.trainer->Logprobs(whole.trainer->weights(), sequences, 4096);
  const StepValues step = *whole.trainer->SftStep(sft, demonstrations, 0);
  for (const int64_t rows : {1, 7, 100, 299}) {
    INFO(rows);
    Chunked chunked(rows);
    const int64_t held = HeldBytes();
    ForgetPeak();
    CHECK(chunked.trainer->Logprobs(chunked.trainer->weights(), sequences, 4096) == logp);
    const StepValues values = *chunked.trainer->SftStep(sft, demonstrations, 0);
    const TrainingMemory predicted = MemoryOfTraining(
        chunked.config,
        {.micro_batch_tokens = 302, .scored_tokens = 300, .head_chunk_bytes = chunked.bytes});
    CHECK(predicted.head == static_cast<double>(chunked.bytes));
    CHECK(static_cast<double>(PeakBytes() - held) <
          1.03 * (predicted.activations + predicted.head));
    CHECK(values.at("loss") == step.at("loss"));
    CHECK(values.at("entropy") == step.at("entropy"));
    // Sums over rows are made of other sums.
    CHECK(values.at("grad_norm") == Approx(step.at("grad_norm")).epsilon(1e-5));
  }
}

}  // namespace
}  // namespace hone
