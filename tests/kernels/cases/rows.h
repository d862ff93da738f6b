#pragma once

// Norm, rope, SwiGLU and rows that move.

#include "tests/kernels/case.h"

namespace hone::kernels::testing {

struct NormShape {
  int64_t n, heads, c, pad;
  bool add = false;
};

inline Numbers RmsNormReference(const Numbers& x, const Numbers& w, const NormShape& s) {
  Numbers out;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t h = 0; h < s.heads; ++h) {
      const double* row = x.data() + n * (s.heads * s.c + s.pad) + h * s.c;
      double sum = 0;
      for (int64_t c = 0; c < s.c; ++c) sum += row[c] * row[c];
      const double scale = 1 / std::sqrt(sum / static_cast<double>(s.c) + 1e-5f);
      for (int64_t c = 0; c < s.c; ++c) out.push_back(row[c] * scale * w[c]);
    }
  return out;
}

inline Case RmsNormCase(const NormShape& s) {
  const int64_t ld = s.heads * s.c + s.pad;
  const auto x = [=] { return Random(s.n * ld, 11); };
  const auto w = [=] { return Random(s.c, 12); };
  Case r;
  r.name =
      "rms_norm " + std::to_string(s.n) + "x" + std::to_string(s.heads) + "x" + std::to_string(s.c);
  r.rows = s.n;
  r.bf16_tolerance = 4e-3;
  r.bytes = 8.0 * s.n * s.heads * s.c;
  r.has = [](const Table& t) { return t.rms_norm != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    const Array xx(x(), dtype), wx(w(), dtype), out(n * s.heads * s.c, dtype);
    const RmsNormArgs a{.x = xx.At(begin * ld),
                        .weight = wx.At(0),
                        .out = out.At(0),
                        .rstd = nullptr,
                        .n = n,
                        .heads = s.heads,
                        .c = s.c,
                        .ldx = ld,
                        .ldo = s.heads * s.c,
                        .eps = 1e-5f,
                        .dtype = dtype};
    return Job{[=, hold = std::vector<Array>{xx, wx}](const Table& t, Stream stream) {
                 return t.rms_norm(a, stream);
               },
               [=] {
                 return Result{out.Floats(), {}, out.Intact()};
               }};
  };
  r.rows_reference = [=] { return RmsNormReference(x(), w(), s); };
  return r;
}

inline Case RmsNormBackwardCase(const NormShape& s) {
  const int64_t ld = s.heads * s.c + s.pad, width = s.heads * s.c;
  const auto x = [=] { return Random(s.n * ld, 11); };
  const auto w = [=] { return Random(s.c, 12); };
  const auto dout = [=] { return Random(s.n * width, 13); };
  const auto add = [=] { return Random(s.n * ld, 14); };
  Case r;
  r.name = "rms_norm_backward " + std::to_string(s.n) + "x" + std::to_string(s.heads) + "x" +
           std::to_string(s.c) + (s.add ? " add" : "");
  r.rows = s.n;
  r.tolerance = 5e-6;
  r.bf16_tolerance = 1.5e-2;
  r.bytes = 16.0 * s.n * s.heads * s.c;
  r.has = [](const Table& t) { return t.rms_norm_backward != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    const Array xx(x(), dtype), wx(w(), dtype), dx(dout(), dtype), ax(add(), dtype);
    const Array out(n * ld, dtype), dw(Random(s.c, 15), DType::kF32);
    Numbers rstd;
    const Numbers xv = x();
    for (int64_t row = begin; row < end; ++row)
      for (int64_t h = 0; h < s.heads; ++h) {
        double sum = 0;
        for (int64_t c = 0; c < s.c; ++c) sum += std::pow(xv[row * ld + h * s.c + c], 2);
        rstd.push_back(1 / std::sqrt(sum / static_cast<double>(s.c) + 1e-5f));
      }
    const Array rx(rstd, DType::kF32);
    const RmsNormBackwardArgs a{.x = xx.At(begin * ld),
                                .weight = wx.At(0),
                                .rstd = rx.As(),
                                .dout = dx.At(begin * width),
                                .add = s.add ? ax.At(begin * ld) : nullptr,
                                .dx = out.At(0),
                                .dweight = dw.As(),
                                .n = n,
                                .heads = s.heads,
                                .c = s.c,
                                .ldx = ld,
                                .ldo = width,
                                .dtype = dtype};
    return Job{[=, hold = std::vector<Array>{xx, wx, dx, ax, rx}](const Table& t, Stream stream) {
                 return t.rms_norm_backward(a, stream);
               },
               [=] {
                 Result res;
                 for (int64_t i = 0; i < n; ++i)
                   for (int64_t c = 0; c < width; ++c) res.rows.push_back(out.Get(i * ld + c));
                 if (n == s.n) res.sums = dw.Floats();
                 res.intact = out.Intact() && dw.Intact();
                 return res;
               }};
  };
  r.rows_reference = [=] {
    const Numbers d = dout(), wv = w(), av = add();
    const Numbers g =
        Gradient([&](const Numbers& v) { return Dot(RmsNormReference(v, wv, s), d); }, x());
    Numbers out;
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t c = 0; c < width; ++c)
        out.push_back(g[n * ld + c] + (s.add ? av[n * ld + c] : 0));
    return out;
  };
  r.sums_reference = [=] {
    const Numbers d = dout(), xv = x();
    Numbers g = Gradient([&](const Numbers& v) { return Dot(RmsNormReference(xv, v, s), d); }, w());
    const Numbers before = Random(s.c, 15);
    for (int64_t c = 0; c < s.c; ++c) g[c] += before[c];
    return g;
  };
  return r;
}

inline Numbers SwigluReference(const Numbers& x, int64_t n, int64_t f) {
  Numbers out;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < f; ++j) {
      const double g = x[i * 2 * f + j];
      out.push_back(g / (1 + std::exp(-g)) * x[i * 2 * f + f + j]);
    }
  return out;
}

inline Case SwigluCase(int64_t n, int64_t f, bool backward) {
  const auto x = [=] { return Random(n * 2 * f, 31, 4); };
  const auto dout = [=] { return Random(n * f, 32); };
  Case r;
  r.name = std::string("swiglu") + (backward ? "_backward " : " ") + std::to_string(n) + "x" +
           std::to_string(f);
  r.rows = n;
  r.bf16_tolerance = 4e-3;
  r.bytes = (backward ? 20.0 : 12.0) * n * f;
  r.has = [=](const Table& t) {
    return backward ? t.swiglu_backward != nullptr : t.swiglu != nullptr;
  };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const int64_t rows = end - begin, w = backward ? 2 * f : f;
    const Array xx(x(), dtype), dx(dout(), dtype), out(rows * w, dtype);
    return Job{
        [=](const Table& t, Stream stream) {
          if (backward)
            return t.swiglu_backward({.x = xx.At(begin * 2 * f),
                                      .dout = dx.At(begin * f),
                                      .dx = out.At(0),
                                      .n = rows,
                                      .f = f,
                                      .dtype = dtype},
                                     stream);
          return t.swiglu(
              {.x = xx.At(begin * 2 * f), .out = out.At(0), .n = rows, .f = f, .dtype = dtype},
              stream);
        },
        [=] {
          return Result{out.Floats(), {}, out.Intact()};
        }};
  };
  r.rows_reference = [=] {
    if (!backward) return SwigluReference(x(), n, f);
    const Numbers d = dout();
    return Gradient([&](const Numbers& v) { return Dot(SwigluReference(v, n, f), d); }, x());
  };
  return r;
}

enum class Move { kGather, kScatter, kEmbedding };

inline Case MoveCase(Move move, int64_t n, int64_t c) {
  const int64_t pool = 2 * n + 3, ld = c + 5;
  const auto x = [=] { return Random(std::max(pool, n) * ld, 41); };
  std::vector<int32_t> index(n);
  // Distinct for scatter, with repeats for gather and embedding.
  for (int64_t i = 0; i < n; ++i)
    index[i] =
        static_cast<int32_t>(move == Move::kScatter ? (2 * i + 3) % pool : (i * i) % (n / 2 + 1));
  Case r;
  const char* names[] = {"gather_rows ", "scatter_rows ", "embedding_backward "};
  r.name = names[static_cast<int>(move)] + std::to_string(n) + "x" + std::to_string(c);
  r.rows = n;
  r.tolerance = move == Move::kEmbedding ? 1e-6 : 0;
  r.bf16_tolerance = 1e-6;
  r.bytes = 8.0 * n * c;
  r.has = [=](const Table& t) {
    return move == Move::kGather    ? t.gather_rows != nullptr
           : move == Move::kScatter ? t.scatter_rows != nullptr
                                    : t.embedding_backward != nullptr;
  };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    const Array xx(x(), dtype),
        ix = Array::Of(std::vector<int32_t>(index.begin() + begin, index.begin() + end));
    const Array out = move == Move::kGather    ? Array(rows * c, dtype)
                      : move == Move::kScatter ? Array(pool * ld, dtype)
                                               : Array(Random(pool * c, 42), DType::kF32);
    return Job{[=](const Table& t, Stream stream) {
                 if (move == Move::kGather)
                   return t.gather_rows({.x = xx.At(0),
                                         .index = ix.As<int32_t>(),
                                         .out = out.At(0),
                                         .n = rows,
                                         .c = c,
                                         .dtype = dtype},
                                        stream);
                 if (move == Move::kScatter)
                   return t.scatter_rows({.x = xx.At(begin * ld),
                                          .index = ix.As<int32_t>(),
                                          .out = out.At(0),
                                          .n = rows,
                                          .c = c,
                                          .ldx = ld,
                                          .ldo = ld,
                                          .dtype = dtype},
                                         stream);
                 return t.embedding_backward({.dout = xx.At(begin * c),
                                              .ids = ix.As<int32_t>(),
                                              .dtable = out.As(),
                                              .n = rows,
                                              .c = c,
                                              .dtype = dtype},
                                             stream);
               },
               [=] {
                 Result res;
                 if (move == Move::kGather) res.rows = out.Floats();
                 if (move == Move::kScatter)
                   for (int64_t i = begin; i < end; ++i)
                     for (int64_t j = 0; j < c; ++j) res.rows.push_back(out.Get(index[i] * ld + j));
                 if (move == Move::kEmbedding && rows == n) res.sums = out.Floats();
                 res.intact = out.Intact();
                 return res;
               }};
  };
  const auto reference = [=] {
    const Numbers v = x();
    Numbers out = move == Move::kEmbedding ? Random(pool * c, 42) : Numbers();
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < c; ++j) {
        if (move == Move::kGather) out.push_back(v[index[i] * c + j]);
        if (move == Move::kScatter) out.push_back(v[i * ld + j]);
        if (move == Move::kEmbedding) out[index[i] * c + j] += v[i * c + j];
      }
    return out;
  };
  (move == Move::kEmbedding ? r.sums_reference : r.rows_reference) = reference;
  return r;
}

inline std::vector<Case> RowCases() {
  std::vector<Case> all;
  for (const NormShape& s : std::vector<NormShape>{{1, 1, 1, 0},
                                                   {5, 1, 64, 0},
                                                   {7, 3, 40, 9, true},
                                                   {37, 1, 129, 1},
                                                   {6, 2, 200, 0, true}}) {
    all.push_back(RmsNormCase(s));
    all.push_back(RmsNormBackwardCase(s));
  }
  // Rows that a CUDA block shares out in other ways.
  for (const NormShape& s : std::vector<NormShape>{
           {9, 5, 16, 0}, {3, 1, 500, 4}, {3, 1, 1000, 0}, {2, 1, 2100, 4}, {2, 1, 8190, 2}})
    all.push_back(RmsNormCase(s));
  for (const NormShape& s :
       std::vector<NormShape>{{3, 1, 500, 4}, {300, 1, 8, 0}, {1, 1, 1100, 0, true}})
    all.push_back(RmsNormBackwardCase(s));
  for (bool backward : {false, true})
    for (auto [n, f] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {9, 32}, {17, 50}, {3, 129}})
      all.push_back(SwigluCase(n, f, backward));
  for (Move m : {Move::kGather, Move::kScatter, Move::kEmbedding})
    for (auto [n, c] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {33, 64}, {20, 77}, {50, 300}, {2500, 3}})
      all.push_back(MoveCase(m, n, c));
  return all;
}

inline std::vector<Case> RowBenchCases() {
  return {RmsNormCase({256, 1, 64, 0}),
          RmsNormCase({2600, 1, 64, 0}),
          RmsNormBackwardCase({2600, 1, 64, 0}),
          RmsNormCase({2600, 1, 768, 0}),
          RmsNormBackwardCase({2600, 1, 768, 0}),
          SwigluCase(5200, 32, false),
          SwigluCase(5200, 32, true),
          SwigluCase(2600, 2048, false),
          SwigluCase(2600, 2048, true),
          MoveCase(Move::kGather, 5200, 64),
          MoveCase(Move::kEmbedding, 2600, 64)};
}

}  // namespace hone::kernels::testing
