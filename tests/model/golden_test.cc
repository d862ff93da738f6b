// Toy checkpoints of every supported architecture against float64 references: logprobs of every
// token and the gradient of every tensor.

#include <algorithm>
#include <cmath>
#include <cstring>
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

// The experts that each token takes in one layer, sorted.
using Experts = std::vector<std::vector<int32_t>>;
Experts ExpertsOf(const kernels::RouteArgs& route) {
  Experts experts;
  for (int64_t t = 0; t < route.n; ++t) {
    experts.emplace_back(route.experts + t * route.k, route.experts + (t + 1) * route.k);
    std::sort(experts.back().begin(), experts.back().end());
  }
  return experts;
}

struct Result {
  std::vector<float> logprobs;
  std::vector<Experts> experts;  // of each sparse layer
  double logprob_error = 0;      // max
  double mean_error = 0;         // of the logprobs
  double gradient_error = 0;     // relative L2 over all tensors
  double cosine = 0;
};

// Computes in `dtype` with weights that were rounded to `stored`.
Result Run(const std::string& name, DType dtype, int threads, DType stored) {
  const std::string dir = GoldenPath(name);
  const ModelConfig config = LoadModelConfig(dir).value();
  const Transformer model(config);
  const Device on(kernels::Cpu(), threads);
  Weights weights(model.layout(), dtype);
  {
    Weights loaded(model.layout(), stored);
    const HfReader reader = HfReader::Open(dir).value();
    REQUIRE_OK(LoadWeights(reader, config, model.layout(), loaded));
    on.Run(on.table().cast, kernels::CastArgs{.x = loaded.parameters.data(),
                                              .y = weights.parameters.data(),
                                              .n = model.layout().size(),
                                              .from = stored,
                                              .to = dtype});
    std::memcpy(weights.biases.data(), loaded.biases.data(),
                static_cast<size_t>(loaded.biases.bytes()));
  }
  const Golden golden(dir);
  const Rows rows = MakeRows(golden);
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
  ops::HeadLogprobBackward(
      on, arena,
      {.hidden = scored,
       .targets = rows.targets.data(),
       .inv_temperature = inv.data(),
       .logp = logp.data(),
       .lse = lse.data(),
       .entropy = entropy.data()},
      weights.parameters.View(model.layout().head()), config.vocab, /*max_rows=*/m / 3, coef.data(),
      nullptr, [] {}, dscored, gradients.View(model.layout().head()));
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
  result.logprobs = logp;
  for (const SavedBlock& block : saved.blocks)
    if (block.route.n > 0) result.experts.push_back(ExpertsOf(block.route));
  for (size_t i = 0; i < logp.size(); ++i) {
    const double error = std::abs(logp[i] - rows.want[i]);
    result.logprob_error = std::max(result.logprob_error, error);
    result.mean_error += error / static_cast<double>(logp.size());
  }
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
    const Result r = Run(name, DType::kF32, 1, DType::kF32);
    CHECK(r.logprob_error <= 2e-5);
    CHECK(r.gradient_error <= 1e-4);
    const Result threaded = Run(name, DType::kF32, 2, DType::kF32);
    CHECK(threaded.logprob_error == r.logprob_error);
    CHECK(threaded.gradient_error == r.gradient_error);
  }
}

// Which of `rows` one flip can have reached: in bf16 a token takes another expert than in f32,
// where two are all but tied, and what it then computes is seen by the tokens behind it.
std::vector<bool> Flipped(const Rows& rows, const Result& a, const Result& b) {
  std::vector<bool> reached(rows.batch.ids.size());
  for (size_t layer = 0; layer < a.experts.size(); ++layer)
    for (size_t s = 0; s + 1 < rows.batch.q_start.size(); ++s) {
      bool flipped = false;
      for (auto t = static_cast<size_t>(rows.batch.q_start[s]);
           t < static_cast<size_t>(rows.batch.q_start[s + 1]); ++t) {
        flipped = flipped || a.experts[layer][t] != b.experts[layer][t];
        reached[t] = reached[t] || flipped;
      }
    }
  return reached;
}

TEST_CASE("bf16: logprobs within 5e-2, 1e-2 in the mean, and gradient cosine above 0.99",
          "[model]") {
  if (!kernels::Cpu().has_bf16()) HONE_SKIP("no bf16 matrix unit");
  for (const std::string& name : Everything()) {
    INFO(name);
    const Result r = Run(name, DType::kBF16, 1, DType::kBF16);
    CHECK(r.cosine >= 0.99);
    // Two are above: dsv2_group (5.5e-2), where scale 16 makes rounding the weights alone
    // cost 3.4e-2, and dsv3_sharded_bf16 (5.3e-2), where a token takes another expert. The next
    // test looks closer; README.md says why better arithmetic would not change it.
    const bool wide = name == "dsv2_group" || name == "dsv3_sharded_bf16";
    CHECK(r.logprob_error <= (wide ? 6e-2 : 5e-2));
    CHECK(r.mean_error <= (name == "dsv2_group" ? 1.2e-2 : 1e-2));
  }
}

TEST_CASE("bf16: within 4e-2 of f32 with the same rounded weights where the experts are the same",
          "[model]") {
  if (!kernels::Cpu().has_bf16()) HONE_SKIP("no bf16 matrix unit");
  for (const std::string& name : Everything()) {
    INFO(name);
    const Rows rows = MakeRows(Golden(GoldenPath(name)));
    const Result r = Run(name, DType::kBF16, 1, DType::kBF16);
    const Result exact = Run(name, DType::kF32, 1, DType::kBF16);
    const std::vector<bool> flipped = Flipped(rows, r, exact);
    int same = 0;
    for (size_t i = 0; i < rows.scored.size(); ++i) {
      const double error = std::abs(r.logprobs[i] - exact.logprobs[i]);
      const bool other = flipped[static_cast<size_t>(rows.scored[i])];
      same += !other;
      CHECK(error <= (other ? 0.2 : 4e-2));
    }
    CHECK(same > 10);  // of 32
    const bool no_ties = name == "dsv2_group" || name == "moonlight" || name == "dsv3_fp8_b128";
    if (exact.experts.empty() || no_ties) CHECK(same == static_cast<int>(rows.scored.size()));
  }
}

}  // namespace
}  // namespace hone
