#pragma once

#include "tests/kernels/case.h"

namespace hone::kernels::testing {

// `rounded`: of bf16 weights, which are written and marked, too (changes_test.cc looks at them).
inline Case AdamWCase(int64_t n, bool rounded = false) {
  const auto in = [=](int i) { return Random(n, 91 + i); };
  const auto square = [=] {
    Numbers v = in(3);
    for (double& x : v) x *= x;
    return v;
  };
  const AdamWArgs settings{.master = nullptr,
                           .grad = nullptr,
                           .m = nullptr,
                           .v = nullptr,
                           .n = 0,
                           .lr = 0.03125f,
                           .beta1 = 0.875f,
                           .beta2 = 0.96875f,
                           .eps = 1e-6f,
                           .weight_decay = 0.125f,
                           .correction1 = 0.5f,
                           .correction2 = 0.25f,
                           .grad_scale = 0.5f};
  Case r;
  r.name = "adamw " + std::to_string(n) + (rounded ? ", bf16 weights" : "");
  r.rows = n;
  r.bytes = (rounded ? 32.125 : 28.0) * n;
  r.has = [](const Table& t) { return t.adamw != nullptr; };
  r.job = [=](DType, int64_t begin, int64_t end) {
    const auto part = [=](const Numbers& x) { return Array(Slice(x, begin, end), DType::kF32); };
    const Array w = part(in(0)), g = part(in(1)), m = part(in(2)), v = part(square());
    AdamWArgs a = settings;
    a.master = w.As();
    a.grad = g.As();
    a.m = m.As();
    a.v = v.As();
    a.n = end - begin;
    const Array y(a.n, DType::kBF16), marks = Array::Of(std::vector<uint32_t>(a.n / 32 + 1));
    if (rounded) {
      a.rounded = y.At(0);
      a.marks = {.bits = marks.As<uint32_t>()};
    }
    return Job{[=, hold = g](const Table& t, Stream stream) { return t.adamw(a, stream); },
               [=, rows = a.n] {
                 return Result{
                     Rows(rows, {w.Floats(), m.Floats(), v.Floats()}),
                     {},
                     w.Intact() && m.Intact() && v.Intact() && y.Intact() && marks.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const Numbers w = in(0), g0 = in(1), m0 = in(2), v0 = square();
    Numbers all;
    for (int64_t i = 0; i < n; ++i) {
      const double g = g0[i] * settings.grad_scale;
      const double m = settings.beta1 * m0[i] + (1.0 - settings.beta1) * g;
      const double v = settings.beta2 * v0[i] + (1.0 - settings.beta2) * g * g;
      const double step =
          m / settings.correction1 / (std::sqrt(v / settings.correction2) + settings.eps);
      all.insert(all.end(), {w[i] - settings.lr * (step + settings.weight_decay * w[i]), m, v});
    }
    return all;
  };
  return r;
}

inline Case AxpbyCase(int64_t n) {
  Case r;
  r.name = "axpby " + std::to_string(n);
  r.rows = n;
  r.bytes = 12.0 * n;
  r.has = [](const Table& t) { return t.axpby != nullptr; };
  r.job = [=](DType, int64_t begin, int64_t end) {
    const Array x(Slice(Random(n, 95), begin, end), DType::kF32),
        y(Slice(Random(n, 96), begin, end), DType::kF32);
    return Job{[=](const Table& t, Stream stream) {
                 return t.axpby({.x = x.As(), .y = y.As(), .n = end - begin, .a = 0.3f, .b = -1.7f},
                                stream);
               },
               [=] {
                 return Result{y.Floats(), {}, y.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const Numbers x = Random(n, 95);
    Numbers y = Random(n, 96);
    for (int64_t i = 0; i < n; ++i) y[i] = 0.3f * x[i] + -1.7f * y[i];
    return y;
  };
  return r;
}

// f32 -> bf16 -> f32 of numbers between two bf16.
inline Case CastCase(int64_t n) {
  const auto x = [=] {
    Numbers v;
    for (int64_t i = 0; i < n; ++i)
      v.push_back(static_cast<float>((i % 2 == 0 ? 1 : -1) * (1.0 + i / 512.0)));
    return v;
  };
  Case r;
  r.name = "cast " + std::to_string(n);
  r.rows = n;
  r.tolerance = 0;
  r.bytes = 6.0 * n;
  r.has = [](const Table& t) { return t.cast != nullptr; };
  r.job = [=](DType, int64_t begin, int64_t end) {
    const int64_t m = end - begin;
    const Array from(Slice(x(), begin, end), DType::kF32), half(m, DType::kBF16),
        back(m, DType::kF32);
    return Job{
        [=](const Table& t, Stream stream) -> Error {
          if (Error e = t.cast({.x = from.At(0),
                                .y = half.At(0),
                                .n = m,
                                .from = DType::kF32,
                                .to = DType::kBF16},
                               stream))
            return e;
          return t.cast(
              {.x = half.At(0), .y = back.At(0), .n = m, .from = DType::kBF16, .to = DType::kF32},
              stream);
        },
        [=] {
          return Result{back.Floats(), {}, half.Intact() && back.Intact()};
        }};
  };
  r.rows_reference = [=] {
    Numbers v = x();
    for (double& d : v) {
      int e;
      const double mantissa = std::frexp(d, &e);
      d = std::ldexp(std::nearbyint(mantissa * 256), e - 8);  // eight bits, ties to even
    }
    return v;
  };
  return r;
}

// What any kernel that is bound by memory is measured against.
inline Case CopyCase(int64_t n) {
  Case r;
  r.name = "copy " + std::to_string(n);
  r.rows = n;
  r.tolerance = 0;
  r.bf16_tolerance = 1e-9;
  r.bytes = 8.0 * n;
  r.has = [](const Table& t) { return t.cast != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const Array x(Slice(Random(n, 98), begin, end), dtype), y(end - begin, dtype);
    return Job{[=](const Table& t, Stream stream) {
                 return t.cast(
                     {.x = x.At(0), .y = y.At(0), .n = end - begin, .from = dtype, .to = dtype},
                     stream);
               },
               [=] {
                 return Result{y.Floats(), {}, y.Intact()};
               }};
  };
  r.rows_reference = [=] { return Random(n, 98); };
  return r;
}

inline Case SumSquaresCase(int64_t n) {
  Case r;
  r.name = "sum_squares " + std::to_string(n);
  r.rows = 0;
  r.sparse = true;
  r.tolerance = 1e-7;
  r.bytes = 4.0 * n;
  r.has = [](const Table& t) { return t.sum_squares != nullptr; };
  r.job = [=](DType, int64_t, int64_t) {
    const Array x(Random(n, 97), DType::kF32), out = Array::Of(std::vector<double>{2.0});
    return Job{
        [=](const Table& t, Stream stream) {
          return t.sum_squares({.x = x.As(), .n = n, .out = out.As<double>()}, stream);
        },
        [=] {
          return Result{{}, {static_cast<float>(*out.As<double>() / (1.0 + n))}, out.Intact()};
        }};
  };
  r.sums_reference = [=] {
    const Numbers x = Random(n, 97);
    return Numbers{(2.0 + Dot(x, x)) / (1.0 + n)};
  };
  return r;
}

inline std::vector<Case> OptimizerCases() {
  std::vector<Case> all;
  for (int64_t n : {1, 31, 50, 20011}) {
    all.push_back(AdamWCase(n));
    all.push_back(AdamWCase(n, true));
    all.push_back(AxpbyCase(n));
    all.push_back(CastCase(n));
    all.push_back(CopyCase(n));
    all.push_back(SumSquaresCase(n));
  }
  all.push_back(SumSquaresCase(200000));
  return all;
}

inline std::vector<Case> OptimizerBenchCases() {
  return {AdamWCase(300000), AdamWCase(20000000), AdamWCase(20000000, true),
          AxpbyCase(300000), CastCase(20000000),  SumSquaresCase(20000000)};
}

}  // namespace hone::kernels::testing
