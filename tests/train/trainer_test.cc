// What a trainer takes of its device's memory.

#include "libs/train/trainer.h"

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

}  // namespace
}  // namespace hone
