#include "libs/model/balance.h"

#include <fstream>
#include <numeric>

#include "nlohmann/json.hpp"
#include "tests/testing/test.h"

namespace hone {
namespace {

nlohmann::json Golden() {
  std::ifstream in(std::string(HONE_GOLDEN_DIR) + "/algo_golden.json");
  return nlohmann::json::parse(in);
}

TEST_CASE("the sequence-wise balance loss has its golden value", "[model]") {
  const nlohmann::json golden = Golden()["seq_balance"];
  const std::vector<std::vector<float>> rows = golden["S"];
  std::vector<float> scores;
  for (const auto& row : rows) scores.insert(scores.end(), row.begin(), row.end());
  const auto n = static_cast<int64_t>(rows.size());
  const auto e = static_cast<int64_t>(rows[0].size());
  const std::vector<int32_t> q_start = {0, static_cast<int32_t>(n)};
  std::vector<float> gradient(static_cast<size_t>(e));
  std::vector<int32_t> sequence_of(static_cast<size_t>(n));
  REQUIRE(kernels::Cpu().sequence_balance({.scores = scores.data(),
                                           .q_start = q_start.data(),
                                           .gradient = gradient.data(),
                                           .sequence_of = sequence_of.data(),
                                           .sequences = 1,
                                           .e = e,
                                           .k = 2,
                                           .alpha = 1},
                                          nullptr) == nullptr);
  const std::vector<double> f = golden["f"];
  for (size_t i = 0; i < f.size(); ++i)
    CHECK(std::abs(gradient[i] * static_cast<double>(n) - f[i]) < 1e-5);
  double loss = 0;  // sum_i f_i P_i, whose gradient by the normalised scores this is
  for (const auto& row : rows) {
    const double sum = std::accumulate(row.begin(), row.end(), 0.0);
    for (size_t i = 0; i < row.size(); ++i) loss += gradient[i] * row[i] / sum;
  }
  CHECK(std::abs(loss - golden["sum_fP"].get<double>()) < 1e-6);
}

TEST_CASE("the bias rule moves each expert by rate towards the mean load", "[model]") {
  ModelConfig config;
  config.hidden = 4;
  config.layers = 2;
  config.heads = config.kv_heads = 1;
  config.head_dim = config.rope_dim = config.v_dim = 4;
  config.dense_width = 4;
  config.vocab = 8;
  config.sparse = {false, true};
  config.moe.experts = 8;
  config.moe.experts_per_token = 2;
  config.moe.width = 4;
  config.moe.has_bias = true;
  const ParameterLayout layout(config);
  Weights weights(layout, DType::kF32);
  const nlohmann::json golden = Golden()["gate"]["bias_update_gamma0.001"];
  const std::vector<float> start = Golden()["gate"]["bias"];
  float* biases = static_cast<float*>(weights.biases.data());
  std::copy(start.begin(), start.end(), biases);
  ExpertLoad load = NewExpertLoad(config);
  REQUIRE(load[0].empty());
  load[1] = golden["load"].get<std::vector<int64_t>>();
  Arena arena;
  UpdateRoutingBiases(Device(kernels::Cpu(), 1), arena, layout, load, 0.001, weights);
  const std::vector<float> want = golden["new_bias"];
  for (size_t i = 0; i < want.size(); ++i) CHECK(std::abs(biases[i] - want[i]) < 1e-6f);
  CHECK(std::abs(MaxViolation(load) - 1.5) < 1e-12);  // 10 against a mean of 4
}

}  // namespace
}  // namespace hone
