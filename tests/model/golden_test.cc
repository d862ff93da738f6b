// Toy checkpoints of every supported architecture against float64 references: logprobs of every
// token and the gradient of every tensor.

#include <algorithm>
#include <cmath>
#include <iterator>

#include "libs/checkpoint/safetensors.h"
#include "libs/model/load.h"
#include "libs/model/transformer.h"
#include "libs/ops/embedding.h"
#include "libs/ops/head.h"
#include "tests/model/goldens.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

struct Golden {
  explicit Golden(const std::string& dir)
      : file(SafetensorsFile::Open(dir + "/golden.safetensors").value()) {}
  template <typename T>
  std::vector<T> Values(const std::string& name) const {
    const TensorEntry* entry = file.Find(name);
    REQUIRE(entry != nullptr);
    std::vector<T> values(static_cast<size_t>(entry->bytes) / sizeof(T));
    REQUIRE_OK(file.Read(name, values.data(), static_cast<size_t>(entry->bytes)));
    return values;
  }
  SafetensorsFile file;
};

// The golden rows as one packed batch: row 0 whole, row 1 up to its length.
struct Rows {
  Batch batch;
  std::vector<int32_t> scored, targets;
  std::vector<double> want;
};
Rows MakeRows(const Golden& golden) {
  const auto ids = golden.Values<int64_t>("input_ids");
  const auto lengths = golden.Values<int64_t>("lengths");
  const auto logprobs = golden.Values<double>("logprobs");
  const auto width = static_cast<int64_t>(ids.size() / lengths.size());
  Rows rows;
  rows.batch.q_start = rows.batch.kv_start = rows.batch.cluster_start = {0};
  for (size_t r = 0; r < lengths.size(); ++r) {
    for (int64_t t = 0; t < lengths[r]; ++t) {
      const auto row = static_cast<int32_t>(rows.batch.ids.size());
      const auto at = static_cast<int64_t>(r) * width + t;
      rows.batch.ids.push_back(static_cast<int32_t>(ids[static_cast<size_t>(at)]));
      rows.batch.positions.push_back(static_cast<int32_t>(t));
      rows.batch.kv_rows.push_back(row);
      if (t + 1 == lengths[r]) continue;
      rows.scored.push_back(row);
      rows.targets.push_back(static_cast<int32_t>(ids[static_cast<size_t>(at) + 1]));
      rows.want.push_back(logprobs[r * static_cast<size_t>(width - 1) + static_cast<size_t>(t)]);
    }
    rows.batch.q_start.push_back(static_cast<int32_t>(rows.batch.ids.size()));
    rows.batch.kv_start.push_back(static_cast<int32_t>(rows.batch.ids.size()));
    rows.batch.cluster_start.push_back(static_cast<int32_t>(r + 1));
  }
  return rows;
}

struct Result {
  double logprob_error = 0;   // max
  double gradient_error = 0;  // relative L2 over all tensors
  double cosine = 0;
};

Result Run(const std::string& name, DType dtype, int threads) {
  const std::string dir = GoldenPath(name);
  const ModelConfig config = LoadModelConfig(dir).value();
  const Transformer model(config);
  Weights weights(model.layout(), dtype);
  const HfReader reader = HfReader::Open(dir).value();
  REQUIRE_OK(LoadWeights(reader, config, model.layout(), weights));
  const Golden golden(dir);
  const Rows rows = MakeRows(golden);
  const Device on(kernels::Cpu(), threads);
  Arena arena;
  ParameterArena gradients(model.layout().size(), DType::kF32);
  SavedForward saved;
  const Matrix hidden = model.Forward(on, arena, weights, rows.batch, saved);
  const auto m = static_cast<int64_t>(rows.targets.size());
  const Matrix scored = arena.NewMatrix(m, config.hidden, dtype);
  ops::GatherRows(on, hidden, rows.scored.data(), scored);
  std::vector<float> logp(rows.targets.size()), lse(logp), entropy(logp), inv(logp.size(), 1);
  const std::vector<float> coef(logp.size(), -1.0f / static_cast<float>(m));
  const Matrix dscored = arena.NewMatrix(m, config.hidden, dtype);
  const std::vector<int64_t> chunks = {0, m / 3, m};
  ops::HeadLogprobBackward(
      on, arena,
      {.hidden = scored,
       .targets = rows.targets.data(),
       .inv_temperature = inv.data(),
       .logp = logp.data(),
       .lse = lse.data(),
       .entropy = entropy.data()},
      weights.parameters.View(model.layout().head()), config.vocab, chunks, coef.data(), nullptr,
      [](int64_t, int64_t) {}, dscored, gradients.View(model.layout().head()));
  const Matrix sum = arena.NewMatrix(hidden.rows, hidden.cols, DType::kF32);
  std::fill_n(sum.f32(), sum.rows * sum.cols, 0.0f);
  ops::EmbeddingBackward(on, dscored, rows.scored.data(), sum);
  Matrix dhidden = sum;
  if (dtype != DType::kF32) {
    dhidden = arena.NewMatrix(sum.rows, sum.cols, dtype);
    on.Run(on.table().cast, kernels::CastArgs{.x = sum.data,
                                              .y = dhidden.data,
                                              .n = sum.rows * sum.cols,
                                              .from = DType::kF32,
                                              .to = dtype});
  }
  model.Backward(on, arena, weights, rows.batch, saved, dhidden, 0, gradients);

  Result result;
  for (size_t i = 0; i < logp.size(); ++i)
    result.logprob_error = std::max(result.logprob_error, std::abs(logp[i] - rows.want[i]));
  double difference = 0, norm = 0, own = 0, dot = 0;
  for (const Parameter& p : model.layout().parameters()) {
    // An expert that no token chose has no gradient in the file: it must be zero.
    const bool chosen = golden.file.Find("grad." + p.name) != nullptr;
    const auto want = chosen ? golden.Values<float>("grad." + p.name)
                             : std::vector<float>(static_cast<size_t>(p.size()), 0.0f);
    REQUIRE(static_cast<int64_t>(want.size()) == p.size());
    const float* got = gradients.View(p).f32();
    for (size_t i = 0; i < want.size(); ++i) {
      difference += (got[i] - want[i]) * static_cast<double>(got[i] - want[i]);
      norm += static_cast<double>(want[i]) * want[i];
      own += static_cast<double>(got[i]) * got[i];
      dot += static_cast<double>(got[i]) * want[i];
    }
  }
  result.gradient_error = std::sqrt(difference / norm);
  result.cosine = dot / std::sqrt(own * norm);
  return result;
}

std::vector<std::string> Everything() {
  std::vector<std::string> names(std::begin(kGoldens), std::end(kGoldens));
  names.insert(names.end(), std::begin(kStoredForms), std::end(kStoredForms));
  return names;
}

TEST_CASE("f32: logprobs within 2e-5 and gradients within 1e-4 of the float64 reference",
          "[model]") {
  for (const std::string& name : Everything()) {
    INFO(name);
    const Result r = Run(name, DType::kF32, 1);
    CHECK(r.logprob_error <= 2e-5);
    CHECK(r.gradient_error <= 1e-4);
    const Result threaded = Run(name, DType::kF32, 2);
    CHECK(threaded.logprob_error == r.logprob_error);
    CHECK(threaded.gradient_error == r.gradient_error);
  }
}

TEST_CASE("bf16: logprobs within 5e-2 and gradient cosine above 0.99", "[model]") {
  if (!kernels::Cpu().has_bf16()) {
    WARN("SKIPPED: no bf16 matrix unit");
    return;
  }
  // Without the stored forms: their rounding moves router scores, and a token that takes another
  // expert in bf16 than in f64 is 0.1 nat off (transformers' bf16 on dsv3_fp8_b16: 0.10).
  for (const std::string name : kGoldens) {
    if (name == "dsv2_group")
      continue;  // scale 16 turns one expert's flip into 0.2 nat (models.md 5.2)
    INFO(name);
    const Result r = Run(name, DType::kBF16, 1);
    CHECK(r.logprob_error <= 5e-2);
    CHECK(r.cosine >= 0.99);
  }
}

}  // namespace
}  // namespace hone
