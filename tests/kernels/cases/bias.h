#pragma once

// What is added to every row, and the sum of rows that is its gradient.

#include "tests/kernels/case.h"

namespace hone::kernels::testing {

// `residual`: added to rows that are wider apart than the result's.
inline Case BiasCase(int64_t n, int64_t c, bool residual) {
  const int64_t ld = c + 7;
  const auto x = [=] { return Random(n * ld, 51); };
  const auto bias = [=] { return Random(c, 52); };
  Case r;
  r.name = "bias " + std::to_string(n) + "x" + std::to_string(c) + (residual ? " residual" : "");
  r.rows = n;
  r.bf16_tolerance = 4e-3;
  r.bytes = 8.0 * n * c;
  r.has = [](const Table& t) { return t.bias != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    const Array xx(x(), dtype), bx(bias(), dtype), out(rows * c, dtype);
    return Job{[=](const Table& t, Stream stream) {
                 return t.bias({.x = residual ? xx.At(begin * ld) : nullptr,
                                .bias = bx.At(0),
                                .out = out.At(0),
                                .n = rows,
                                .c = c,
                                .ldx = ld,
                                .ldo = c,
                                .dtype = dtype},
                               stream);
               },
               [=] {
                 return Result{out.Floats(), {}, out.Intact()};
               }};
  };
  r.rows_reference = [=] {
    const Numbers xv = x(), bv = bias();
    Numbers out;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < c; ++j) out.push_back((residual ? xv[i * ld + j] : 0) + bv[j]);
    return out;
  };
  return r;
}

inline Case BiasBackwardCase(int64_t n, int64_t c) {
  const int64_t ld = c + 7;
  const auto dout = [=] { return Random(n * ld, 53); };
  Case r;
  r.name = "bias_backward " + std::to_string(n) + "x" + std::to_string(c);
  r.rows = n;
  r.tolerance = 1e-6;
  r.bf16_tolerance = 1e-6;
  r.bytes = 4.0 * n * c;
  r.has = [](const Table& t) { return t.bias_backward != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const Array dx(dout(), dtype), sum(Random(c, 54), DType::kF32);
    return Job{[=](const Table& t, Stream stream) {
                 return t.bias_backward({.dout = dx.At(begin * ld),
                                         .dbias = sum.As(),
                                         .n = end - begin,
                                         .c = c,
                                         .ldo = ld,
                                         .dtype = dtype},
                                        stream);
               },
               [=] {
                 Result res;
                 if (end - begin == n) res.sums = sum.Floats();
                 res.intact = sum.Intact();
                 return res;
               }};
  };
  r.sums_reference = [=] {
    const Numbers d = dout();
    Numbers sum = Random(c, 54);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < c; ++j) sum[j] += d[i * ld + j];
    return sum;
  };
  return r;
}

inline std::vector<Case> BiasCases() {
  std::vector<Case> all;
  for (auto [n, c] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {33, 64}, {20, 77}, {50, 300}, {700, 5}}) {
    for (bool residual : {false, true}) all.push_back(BiasCase(n, c, residual));
    all.push_back(BiasBackwardCase(n, c));
  }
  return all;
}

}  // namespace hone::kernels::testing
