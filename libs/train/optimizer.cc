#include "libs/train/optimizer.h"

#include <algorithm>
#include <cmath>

namespace hone {

using kernels::AxpbyArgs;
using kernels::GemmArgs;
using kernels::Layout;

Optimizer::Optimizer(const Device& on, const ParameterLayout& layout, const Weights& weights)
    : layout_(layout),
      m_(layout.trained_size(), DType::kF32, on.table()),
      v_(layout.trained_size(), DType::kF32, on.table()),
      master_(weights.trained().dtype() == DType::kF32 ? 0 : layout.trained_size(), DType::kF32,
              on.table()) {
  if (master_.size() == 0) return;
  changes_.emplace(layout.trained_size(), on.table());
  on.Run(on.table().cast, kernels::CastArgs{.x = weights.trained().data(),
                                            .y = master_.data(),
                                            .n = layout.trained_size(),
                                            .from = weights.trained().dtype(),
                                            .to = DType::kF32});
}

namespace {
// Sums of squares of `count` consecutive arrays of n, in one download.
std::vector<double> SumsOfSquares(const Device& on, Arena& arena, const float* x, int64_t n,
                                  int64_t count) {
  const Arena::Mark mark = arena.mark();
  double* sums = arena.NewArray<double>(count);
  on.Zero(sums, count * static_cast<int64_t>(sizeof(double)));
  for (int64_t i = 0; i < count; ++i)
    on.Run(on.table().sum_squares,
           kernels::SumSquaresArgs{.x = x + i * n, .n = n, .out = sums + i});
  std::vector<double> out(static_cast<size_t>(count));
  on.Read(out.data(), sums, count);
  arena.Release(mark);
  return out;
}

// Element `at` of bf16 weights.
void* Rounded(Weights& weights, int64_t at) {
  return static_cast<uint16_t*>(weights.trained().data()) + at;
}
}  // namespace

void Optimizer::Reset(const Device& on) {
  on.Zero(m_.data(), m_.bytes());
  on.Zero(v_.data(), v_.bytes());
  steps_ = 0;
}

std::vector<Optimizer::Named> Optimizer::State() {
  std::vector<Named> state = {{"m", &m_}, {"v", &v_}};
  if (master_.size() > 0) state.push_back({"master", &master_});
  return state;
}

const float* Optimizer::Master(const Weights& weights) const {
  return static_cast<const float*>(master_.size() > 0 ? master_.data() : weights.trained().data());
}

double Optimizer::Step(const Device& on, Arena& arena, const v1::OptimizerSpec& spec,
                       double learning_rate, const ParameterArena& gradients, Weights& weights) {
  const double norm = std::sqrt(SumsOfSquares(
      on, arena, static_cast<const float*>(gradients.data()), gradients.size(), 1)[0]);
  if (!std::isfinite(norm)) return norm;
  const double clip = spec.grad_clip() == 0 ? 1 : spec.grad_clip();
  const double scale = clip > 0 && norm > clip ? clip / norm : 1;
  ++steps_;

  float* master = const_cast<float*>(Master(weights));
  const bool muon = spec.kind() == v1::OptimizerSpec::KIND_MUON;
  const std::vector<Parameter>& all = layout_.trained();
  for (size_t i = 0; i < all.size();) {
    const Parameter& first = all[i];
    const bool by_muon = muon && first.role == ParameterRole::kMatrix;
    const bool decay = first.rows > 1;
    // As many following parameters as can be treated in one go.
    size_t end = i + 1;
    const auto alike = [&](const Parameter& p) {
      const bool p_muon = muon && p.role == ParameterRole::kMatrix;
      if (by_muon || p_muon)
        return by_muon == p_muon && p.rows == first.rows && p.cols == first.cols;
      return (p.rows > 1) == decay;
    };
    while (end < all.size() && alike(all[end])) ++end;
    const int64_t stop = all[end - 1].offset + all[end - 1].size();
    if (by_muon) {
      Muon(on, arena, spec, learning_rate, scale, gradients, first.offset, first.rows, first.cols,
           static_cast<int64_t>(end - i), master);
      if (changes_)
        on.Run(on.table().cast, kernels::CastArgs{.x = master + first.offset,
                                                  .y = Rounded(weights, first.offset),
                                                  .n = stop - first.offset,
                                                  .from = DType::kF32,
                                                  .to = DType::kBF16,
                                                  .marks = changes_->marks(first.offset)});
    } else {
      AdamW(on, spec, learning_rate, scale, gradients, first.offset, stop, decay, master, weights);
    }
    i = end;
  }
  return norm;
}

void Optimizer::AdamW(const Device& on, const v1::OptimizerSpec& spec, double learning_rate,
                      double scale, const ParameterArena& gradients, int64_t begin, int64_t end,
                      bool decay, float* master, Weights& weights) {
  const double beta1 = spec.beta1() == 0 ? 0.9 : spec.beta1();
  const double beta2 = spec.beta2() == 0 ? 0.95 : spec.beta2();
  const auto t = static_cast<double>(steps_);
  on.Run(on.table().adamw,
         kernels::AdamWArgs{.master = master + begin,
                            .grad = static_cast<const float*>(gradients.data()) + begin,
                            .m = static_cast<float*>(m_.data()) + begin,
                            .v = static_cast<float*>(v_.data()) + begin,
                            .n = end - begin,
                            .lr = static_cast<float>(learning_rate),
                            .beta1 = static_cast<float>(beta1),
                            .beta2 = static_cast<float>(beta2),
                            .eps = static_cast<float>(spec.eps() == 0 ? 1e-8 : spec.eps()),
                            .weight_decay = static_cast<float>(decay ? spec.weight_decay() : 0),
                            .correction1 = static_cast<float>(1 - std::pow(beta1, t)),
                            .correction2 = static_cast<float>(1 - std::pow(beta2, t)),
                            .grad_scale = static_cast<float>(scale),
                            .rounded = changes_ ? Rounded(weights, begin) : nullptr,
                            .marks = changes_ ? changes_->marks(begin) : kernels::Marks{}});
}

// `count` consecutive matrices of one shape. Works on X [rows, cols] as it lies: for tall ones the
// polynomial is in X^T X from the right, else in X X^T from the left.
void Optimizer::Muon(const Device& on, Arena& arena, const v1::OptimizerSpec& spec,
                     double learning_rate, double scale, const ParameterArena& gradients,
                     int64_t offset, int64_t rows, int64_t cols, int64_t count, float* master) {
  const Arena::Mark mark = arena.mark();
  const int64_t size = rows * cols;
  const int64_t n = count * size;
  const bool tall = rows > cols;
  const int64_t side = std::min(rows, cols);
  const float* grad = static_cast<const float*>(gradients.data()) + offset;
  float* momentum = static_cast<float*>(m_.data()) + offset;
  const auto mu = static_cast<float>(spec.muon_momentum() == 0 ? 0.95 : spec.muon_momentum());
  const auto axpby = [&](const float* x, float* y, int64_t length, double a, double b) {
    on.Run(
        on.table().axpby,
        AxpbyArgs{
            .x = x, .y = y, .n = length, .a = static_cast<float>(a), .b = static_cast<float>(b)});
  };
  axpby(grad, momentum, n, scale, mu);
  float* x = arena.NewArray<float>(n);
  float* next = arena.NewArray<float>(n);
  on.Copy(x, grad, n * static_cast<int64_t>(sizeof(float)));
  axpby(momentum, x, n, mu, scale);
  const std::vector<double> squares = SumsOfSquares(on, arena, x, size, count);
  for (int64_t i = 0; i < count; ++i)  // Frobenius norm 1
    axpby(x + i * size, x + i * size, size, 0,
          1 / (std::sqrt(squares[static_cast<size_t>(i)]) + 1e-7));
  constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
  // A row of padding behind each square, so that the diagonals of all of them are one column whose
  // elements are side + 1 apart.
  const int64_t square_stride = side * (side + 1);
  const int64_t squares_size = count * square_stride;
  float* gram = arena.NewArray<float>(squares_size);
  float* poly = arena.NewArray<float>(squares_size);
  for (float* padded : {gram, poly})
    on.Zero(padded, squares_size * static_cast<int64_t>(sizeof(float)));
  const std::vector<float> identity = {static_cast<float>(kA)};
  const auto [a_on_diagonal] = on.Upload(arena, identity);
  GemmArgs square{.a = x,
                  .b = x,
                  .c = gram,
                  .m = side,
                  .n = side,
                  .k = std::max(rows, cols),
                  .lda = cols,
                  .ldb = cols,
                  .ldc = side,
                  .batch = count,
                  .stride_a = size,
                  .stride_b = size,
                  .stride_c = square_stride,
                  .layout = tall ? Layout::kTN : Layout::kNT};
  GemmArgs fourth{.a = gram,
                  .b = gram,
                  .c = poly,
                  .m = side,
                  .n = side,
                  .k = side,
                  .lda = side,
                  .ldb = side,
                  .ldc = side,
                  .batch = count,
                  .stride_a = square_stride,
                  .stride_b = square_stride,
                  .stride_c = square_stride,
                  .layout = Layout::kNN};
  for (int step = 0; step < 5; ++step) {
    square.a = square.b = x;
    on.Run(on.table().gemm, square);
    on.Run(on.table().gemm, fourth);
    axpby(gram, poly, squares_size, kB, kC);
    on.Run(on.table().bias, kernels::BiasArgs{.x = poly,
                                              .bias = a_on_diagonal,
                                              .out = poly,
                                              .n = count * side,
                                              .c = 1,
                                              .ldx = side + 1,
                                              .ldo = side + 1});
    on.Run(on.table().gemm, GemmArgs{.a = tall ? x : poly,
                                     .b = tall ? poly : x,
                                     .c = next,
                                     .m = rows,
                                     .n = cols,
                                     .k = side,
                                     .lda = tall ? cols : side,
                                     .ldb = tall ? side : cols,
                                     .ldc = cols,
                                     .batch = count,
                                     .stride_a = tall ? size : square_stride,
                                     .stride_b = tall ? square_stride : size,
                                     .stride_c = size,
                                     .layout = Layout::kNN});
    std::swap(x, next);
  }
  const double update = 0.2 * std::sqrt(static_cast<double>(std::max(rows, cols)));
  axpby(x, master + offset, n, -learning_rate * update,
        1 - learning_rate * spec.muon_weight_decay());
  arena.Release(mark);
}

}  // namespace hone
