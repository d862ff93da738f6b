#include "libs/train/optimizer.h"

#include <cmath>
#include <vector>

#include "libs/base/random.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

ModelConfig Tiny() {
  return ParseModelConfig(
             R"({"model_type":"llama","hidden_size":16,"num_hidden_layers":1,"num_attention_heads":2,
      "intermediate_size":24,"vocab_size":30,"tie_word_embeddings":false})")
      .value();
}

struct Bench {
  Bench()
      : layout(Tiny()),
        weights(layout, DType::kF32),
        gradients(layout.size(), DType::kF32),
        on(kernels::Cpu(), 1) {
    RandomStream random(uint64_t{5});
    for (int64_t i = 0; i < layout.size(); ++i) {
      Values(weights.parameters)[i] = static_cast<float>(random.Normal());
      Values(gradients)[i] = static_cast<float>(0.01 * random.Normal());
    }
  }
  static float* Values(const ParameterArena& arena) { return static_cast<float*>(arena.data()); }
  ParameterLayout layout;
  Weights weights;
  ParameterArena gradients;
  Device on;
  Arena arena;
};

TEST_CASE("AdamW follows its formula, with clipping and decay of matrices only", "[train]") {
  Bench b;
  Optimizer optimizer(b.on, b.layout, b.weights);
  v1::OptimizerSpec spec;
  spec.set_weight_decay(0.1);
  spec.set_grad_clip(0.05);
  std::vector<double> w(Bench::Values(b.weights.parameters),
                        Bench::Values(b.weights.parameters) + b.layout.size());
  std::vector<double> m(w.size(), 0), v(w.size(), 0);
  for (int t = 1; t <= 3; ++t) {
    double squares = 0;
    for (size_t i = 0; i < w.size(); ++i)
      squares += std::pow(static_cast<double>(Bench::Values(b.gradients)[i]), 2);
    const double norm = optimizer.Step(b.on, b.arena, spec, 1e-2, b.gradients, b.weights);
    CHECK(std::abs(norm - std::sqrt(squares)) < 1e-6);
    const double scale = std::min(1.0, 0.05 / std::sqrt(squares));
    for (const Parameter& p : b.layout.parameters()) {
      for (int64_t k = 0; k < p.size(); ++k) {
        const auto i = static_cast<size_t>(p.offset + k);
        const double g = scale * Bench::Values(b.gradients)[i];
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.95 * v[i] + 0.05 * g * g;
        const double update =
            m[i] / (1 - std::pow(0.9, t)) / (std::sqrt(v[i] / (1 - std::pow(0.95, t))) + 1e-8);
        w[i] -= 1e-2 * (update + (p.rows > 1 ? 0.1 : 0) * w[i]);
      }
    }
  }
  double worst = 0;
  for (size_t i = 0; i < w.size(); ++i)
    worst = std::max(worst, std::abs(w[i] - Bench::Values(b.weights.parameters)[i]));
  CHECK(worst < 2e-5);
}

TEST_CASE("Muon makes the update of a block's matrix nearly orthogonal, of Moonlight's size",
          "[train]") {
  Bench b;
  Optimizer optimizer(b.on, b.layout, b.weights);
  v1::OptimizerSpec spec;
  spec.set_kind(v1::OptimizerSpec::KIND_MUON);
  const std::vector<float> before(Bench::Values(b.weights.parameters),
                                  Bench::Values(b.weights.parameters) + b.layout.size());
  optimizer.Step(b.on, b.arena, spec, 1.0, b.gradients, b.weights);
  for (const Parameter& p : b.layout.parameters()) {
    if (p.role != ParameterRole::kMatrix) continue;
    INFO(p.name << " " << p.rows << "x" << p.cols);
    const double scale = 0.2 * std::sqrt(static_cast<double>(std::max(p.rows, p.cols)));
    // Gram matrix of the smaller side: near the identity (Newton-Schulz leaves singular values in
    // about [0.7, 1.2]).
    const int64_t side = std::min(p.rows, p.cols);
    const auto delta = [&](int64_t r, int64_t c) {
      const auto i = static_cast<size_t>(p.offset + r * p.cols + c);
      return (before[i] - Bench::Values(b.weights.parameters)[i]) / scale;
    };
    for (int64_t i = 0; i < side; ++i) {
      double diagonal = 0;
      for (int64_t k = 0; k < std::max(p.rows, p.cols); ++k) {
        const double x = p.rows <= p.cols ? delta(i, k) : delta(k, i);
        diagonal += x * x;
      }
      CHECK(diagonal > 0.4);
      CHECK(diagonal < 1.6);
    }
  }
}

TEST_CASE("a gradient that is not finite changes nothing", "[train]") {
  Bench b;
  Optimizer optimizer(b.on, b.layout, b.weights);
  const std::vector<float> before(Bench::Values(b.weights.parameters),
                                  Bench::Values(b.weights.parameters) + b.layout.size());
  Bench::Values(b.gradients)[3] = NAN;
  CHECK_FALSE(std::isfinite(optimizer.Step(b.on, b.arena, {}, 1e-2, b.gradients, b.weights)));
  CHECK(optimizer.steps() == 0);
  CHECK(std::equal(before.begin(), before.end(), Bench::Values(b.weights.parameters)));
}

}  // namespace
}  // namespace hone
