#pragma once

#include "tests/kernels/case.h"

namespace hone::kernels::testing {

struct GemmShape {
  Layout layout;
  int64_t m, n, k;
  int64_t batch = 1;
  int64_t pad = 0;  // of all leading dimensions
  int add = 0;      // 0 none, 1 another array, 2 c itself
  DType c_dtype = DType::kF32;
  bool one_a = false;            // for the whole batch
  const char* kernel = nullptr;  // see Case; the reference of such a product is a sample
};

inline const char* LayoutName(Layout l) {
  return l == Layout::kNT ? "NT" : l == Layout::kNN ? "NN" : "TN";
}

inline Case GemmCase(const GemmShape& s) {
  const bool tn = s.layout == Layout::kTN, nt = s.layout == Layout::kNT;
  const int64_t lda = (tn ? s.m : s.k) + s.pad, a_size = (tn ? s.k : s.m) * lda;
  const int64_t ldb = (nt ? s.k : s.n) + s.pad, b_size = (nt ? s.n : s.k) * ldb;
  const int64_t ldc = s.n + s.pad, c_size = s.m * ldc;
  const int64_t stride_a = s.one_a ? 0 : a_size;
  const auto a = [=] { return Random(s.batch * a_size, 1); };
  const auto b = [=] { return Random(s.batch * b_size, 2); };
  const auto c = [=] { return Random(s.batch * c_size, 3); };
  Case r;
  r.name = std::string("gemm ") + LayoutName(s.layout) + " " + std::to_string(s.m) + "x" +
           std::to_string(s.n) + "x" + std::to_string(s.k) +
           (s.batch > 1 ? " batch " + std::to_string(s.batch) : "") + (s.one_a ? " of one a" : "") +
           (s.pad > 0 ? " pad " + std::to_string(s.pad) : "") +
           (s.add > 0 ? " add " + std::to_string(s.add) : "") +
           (s.c_dtype == DType::kBF16 ? " -> bf16" : "");
  r.rows = s.m;
  r.kernel = s.kernel;
  if (s.kernel != nullptr) r.sample = Sample(s.m * s.batch * s.n);
  r.tolerance = s.c_dtype == DType::kF32 ? 3e-6 : 5e-3;
  r.bf16_tolerance = s.c_dtype == DType::kF32 ? 1e-5 : 5e-3;
  r.flops = 2.0 * s.m * s.n * s.k * s.batch;
  r.bytes = 4.0 * s.batch * (s.m * s.k + s.n * s.k + s.m * s.n);
  r.has = [](const Table& t) { return t.gemm != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    const Array ax(a(), dtype), bx(b(), dtype);
    const Array add = s.add == 0 ? Array() : Array(c(), s.c_dtype);
    const Array cx = s.add == 2 ? add : Array(s.batch * c_size, s.c_dtype);
    const GemmArgs g{.a = ax.At(tn ? begin : begin * lda),
                     .b = bx.At(0),
                     .c = cx.At(begin * ldc),
                     .add = s.add == 0 ? nullptr : add.At(begin * ldc),
                     .m = end - begin,
                     .n = s.n,
                     .k = s.k,
                     .lda = lda,
                     .ldb = ldb,
                     .ldc = ldc,
                     .batch = s.batch,
                     .stride_a = stride_a,
                     .stride_b = b_size,
                     .stride_c = c_size,
                     .layout = s.layout,
                     .dtype = dtype,
                     .c_dtype = s.c_dtype};
    return Job{[=, hold = std::vector<Array>{ax, bx, add}](const Table& t, Stream stream) {
                 return t.gemm(g, stream);
               },
               [=] {
                 Result out;
                 for (int64_t m = begin; m < end; ++m)
                   for (int64_t i = 0; i < s.batch; ++i)
                     for (int64_t n = 0; n < s.n; ++n)
                       out.rows.push_back(cx.Get(i * c_size + m * ldc + n));
                 out.intact = cx.Intact();
                 // Between the rows nothing is written.
                 for (int64_t m = begin; m < end && s.add == 0; ++m)
                   for (int64_t n = s.n; n < ldc; ++n)
                     out.intact = out.intact && std::isnan(cx.Get(m * ldc + n));
                 return out;
               }};
  };
  r.rows_reference = [=, sample = r.sample] {
    const Numbers av = a(), bv = b(), cv = s.add == 0 ? Numbers() : c();
    const auto element = [&](int64_t m, int64_t i, int64_t n) {
      double sum = s.add == 0 ? 0 : cv[i * c_size + m * ldc + n];
      for (int64_t k = 0; k < s.k; ++k)
        sum += av[i * stride_a + (tn ? k * lda + m : m * lda + k)] *
               bv[i * b_size + (nt ? n * ldb + k : k * ldb + n)];
      return sum;
    };
    Numbers out;
    for (const int64_t at : sample)
      out.push_back(element(at / (s.batch * s.n), at / s.n % s.batch, at % s.n));
    if (!sample.empty()) return out;
    for (int64_t m = 0; m < s.m; ++m)
      for (int64_t i = 0; i < s.batch; ++i)
        for (int64_t n = 0; n < s.n; ++n) out.push_back(element(m, i, n));
    return out;
  };
  return r;
}

inline std::vector<Case> GemmCases() {
  std::vector<Case> all;
  for (Layout l : {Layout::kNT, Layout::kNN, Layout::kTN})
    for (const GemmShape& s : std::vector<GemmShape>{{l, 1, 1, 1},
                                                     {l, 1, 17, 5},
                                                     {l, 13, 1, 33},
                                                     {l, 7, 35, 0, 1, 0, 1},
                                                     {l, 40, 64, 64},
                                                     {l, 37, 104, 40, 1, 3},
                                                     {l, 25, 33, 31, 1, 0, 1},
                                                     {l, 64, 120, 65, 1, 5, 2},
                                                     {l, 70, 300, 129, 1, 0, 2},
                                                     {l, 97, 48, 600, 1, 1, 0},
                                                     {l, 9, 20, 35, 4, 7, 2},
                                                     {l, 33, 50, 70, 1, 0, 1, DType::kBF16},
                                                     {l, 130, 530, 290},
                                                     // Rows on 16 bytes, some in many tiles.
                                                     {l, 264, 520, 192, 1, 0, 2},
                                                     {l, 64, 192, 72, 1, 0, 0, DType::kBF16},
                                                     {l, 200, 264, 136, 1, 8, 1},
                                                     {l, 70, 72, 80, 3, 8, 2, DType::kBF16},
                                                     {l, 70, 72, 80, 3, 0, 0, DType::kBF16, true},
                                                     {l, 9, 20, 35, 2, 3, 0, DType::kF32, true}})
      all.push_back(GemmCase(s));
  // Long sums take the blocked path, if the rows are many.
  all.push_back(GemmCase({Layout::kNT, 63, 70, 1100, 1, 1, 1}));
  all.push_back(GemmCase({Layout::kNN, 150, 290, 1030}));
  all.push_back(GemmCase({Layout::kTN, 70, 150, 1100, 1, 3, 2}));
  all.push_back(GemmCase({Layout::kTN, 200, 40, 530, 1, 0, 0, DType::kBF16}));
  return all;
}

// Products with a tile for each multiprocessor of a GPU: by the wide tiles of gemm_hopper.cu.
inline std::vector<Case> LargeGemmCases() {
  const char* const widest = "gemm (Hopper, 128x256)";
  const char* const wide = "gemm (Hopper, 128x128)";
  std::vector<Case> all;
  for (Layout l : {Layout::kNT, Layout::kNN, Layout::kTN})
    all.push_back(GemmCase({l, 2304, 4352, 200, 1, 0, 0, DType::kF32, false, widest}));
  all.push_back(GemmCase({Layout::kNT, 33792, 200, 136, 1, 0, 0, DType::kF32, false, wide}));
  return all;
}

inline std::vector<Case> GemmBenchCases() {
  std::vector<Case> all{GemmCase({Layout::kNT, 16, 64, 64}), GemmCase({Layout::kNT, 256, 64, 64}),
                        GemmCase({Layout::kNT, 256, 32, 16, 4})};
  for (Layout l : {Layout::kNT, Layout::kNN, Layout::kTN}) {
    const int64_t rows = 2600;
    for (auto [out, in] :
         std::vector<std::pair<int64_t, int64_t>>{{64, 64}, {104, 64}, {128, 256}, {256, 128}}) {
      // The three products of a linear layer out <- in.
      if (l == Layout::kNT) all.push_back(GemmCase({l, rows, out, in}));
      if (l == Layout::kNN) all.push_back(GemmCase({l, rows, in, out}));
      if (l == Layout::kTN) all.push_back(GemmCase({l, out, in, rows}));
    }
    all.push_back(GemmCase({l, 768, 768, 768}));
    all.push_back(GemmCase({l, 1024, 2048, 768}));
    all.push_back(GemmCase({l, 2048, 768, 2048}));
  }
  all.push_back(GemmCase({Layout::kNT, 1, 2048, 2048}));
  all.push_back(GemmCase({Layout::kNT, 16, 2048, 2048}));
  all.push_back(GemmCase({Layout::kNT, 64, 32000, 768}));
  return all;
}

struct GroupedShape {
  Layout layout;
  std::vector<int64_t> counts;  // rows per expert
  int64_t m, n, k;              // m for kTN only, k for the others
  DType c_dtype = DType::kF32;
  const char* kernel = nullptr;  // as in GemmShape
};

inline Case GroupedGemmCase(const GroupedShape& s) {
  const bool tn = s.layout == Layout::kTN;
  std::vector<int32_t> offsets{0};
  for (int64_t c : s.counts) offsets.push_back(offsets.back() + static_cast<int32_t>(c));
  const int64_t rows = offsets.back(), experts = static_cast<int64_t>(s.counts.size());
  const auto a = [=] { return Random(rows * (tn ? s.m : s.k), 4); };
  const auto b = [=] { return Random(tn ? rows * s.n : experts * s.n * s.k, 5); };
  const auto c = [=] { return Random(experts * s.m * s.n, 6); };
  Case r;
  r.name = std::string("grouped_gemm ") + LayoutName(s.layout) + " " + std::to_string(experts) +
           " experts, " + std::to_string(rows) + " rows, " + (tn ? std::to_string(s.m) + "x" : "") +
           std::to_string(s.n) + (tn ? "" : "x" + std::to_string(s.k));
  r.rows = tn ? 0 : rows;
  r.sparse = tn;
  r.kernel = s.kernel;
  if (s.kernel != nullptr) r.sample = Sample((tn ? experts * s.m : rows) * s.n);
  r.tolerance = s.c_dtype == DType::kF32 ? 3e-6 : 5e-3;
  r.bf16_tolerance = s.c_dtype == DType::kF32 ? 1e-5 : 5e-3;
  r.flops = 2.0 * rows * s.n * (tn ? s.m : s.k);
  r.bytes = 4.0 * (rows * (s.n + (tn ? s.m : s.k)) + experts * s.n * (tn ? 2 * s.m : s.k));
  r.has = [](const Table& t) { return t.grouped_gemm != nullptr; };
  r.job = [=](DType dtype, int64_t begin, int64_t end) {
    std::vector<int32_t> part;
    for (int32_t o : offsets)
      part.push_back(tn ? o : static_cast<int32_t>(std::clamp<int64_t>(o, begin, end) - begin));
    const Array ax(a(), dtype), bx(b(), dtype), ox = Array::Of(part);
    const Array cx = tn ? Array(c(), s.c_dtype) : Array((end - begin) * s.n, s.c_dtype);
    const GroupedGemmArgs g{.a = ax.At(tn ? 0 : begin * s.k),
                            .b = bx.At(0),
                            .c = cx.At(0),
                            .offsets = ox.As<int32_t>(),
                            .experts = experts,
                            .m = s.m,
                            .n = s.n,
                            .k = s.k,
                            .rows = tn ? rows : end - begin,
                            .layout = s.layout,
                            .dtype = dtype,
                            .c_dtype = s.c_dtype};
    return Job{[=, hold = std::vector<Array>{ax, bx, ox}](const Table& t, Stream stream) {
                 return t.grouped_gemm(g, stream);
               },
               [=] {
                 Result out;
                 (tn ? out.sums : out.rows) = cx.Floats();
                 out.intact = cx.Intact();
                 return out;
               }};
  };
  const auto reference = [=, sample = r.sample] {
    const Numbers av = a(), bv = b(), cv = tn ? c() : Numbers();
    const auto element = [&](int64_t at) {
      const int64_t n = at % s.n, row = at / s.n;  // row: of C, for TN m of an expert
      double sum = tn ? cv[at] : 0;
      if (tn) {
        const int64_t e = row / s.m, m = row % s.m;
        for (int64_t i = offsets[e]; i < offsets[e + 1]; ++i)
          sum += av[i * s.m + m] * bv[i * s.n + n];
        return sum;
      }
      const int64_t e = std::upper_bound(offsets.begin(), offsets.end(), row) - offsets.begin() - 1;
      for (int64_t k = 0; k < s.k; ++k)
        sum += av[row * s.k + k] * (s.layout == Layout::kNT ? bv[(e * s.n + n) * s.k + k]
                                                            : bv[(e * s.k + k) * s.n + n]);
      return sum;
    };
    Numbers out;
    for (const int64_t at : sample) out.push_back(element(at));
    const int64_t all = sample.empty() ? (tn ? experts * s.m : rows) * s.n : 0;
    for (int64_t at = 0; at < all; ++at) out.push_back(element(at));
    return out;
  };
  (tn ? r.sums_reference : r.rows_reference) = reference;
  return r;
}

inline std::vector<Case> GroupedGemmCases() {
  std::vector<Case> all;
  for (Layout l : {Layout::kNT, Layout::kNN, Layout::kTN}) {
    all.push_back(GroupedGemmCase({l, {0, 1, 0, 13, 7, 0}, 19, 35, 33}));
    all.push_back(GroupedGemmCase({l, {30, 64, 12, 5}, 64, 32, 64}));
    all.push_back(GroupedGemmCase({l, {3}, 130, 70, 40}));
    all.push_back(GroupedGemmCase({l, {0, 0}, 8, 8, 8}));
    all.push_back(GroupedGemmCase({l, {90, 0, 150}, 100, 90, 50}));
    all.push_back(GroupedGemmCase({l, {70, 0, 150, 3}, 72, 136, 80}));
    all.push_back(GroupedGemmCase({l, {64, 129, 1}, 136, 264, 136}));
    if (l != Layout::kTN) all.push_back(GroupedGemmCase({l, {5, 40}, 0, 50, 64, DType::kBF16}));
  }
  return all;
}

// Likewise, of uneven experts, some without rows.
inline std::vector<Case> LargeGroupedGemmCases() {
  std::vector<int64_t> uneven, more;
  for (int64_t e = 0; e < 40; ++e) {
    uneven.push_back(e % 7 == 3 ? 0 : e * 37 % 211);
    more.push_back(2 * uneven.back());
  }
  const char* const widest = "gemm (Hopper, 128x256)";
  const char* const wide = "gemm (Hopper, 128x128)";
  return {GroupedGemmCase({Layout::kNT, uneven, 0, 1088, 136, DType::kF32, widest}),
          GroupedGemmCase({Layout::kNT, more, 0, 200, 136, DType::kF32, wide}),
          GroupedGemmCase({Layout::kTN, uneven, 264, 520, 0, DType::kF32, widest}),
          GroupedGemmCase({Layout::kTN, uneven, 264, 200, 0, DType::kF32, wide})};
}

inline std::vector<Case> GroupedGemmBenchCases() {
  std::vector<Case> all;
  const std::vector<int64_t> few(8, 64), many(8, 650);
  for (const auto& counts : {few, many}) {
    all.push_back(GroupedGemmCase({Layout::kNT, counts, 0, 64, 64}));
    all.push_back(GroupedGemmCase({Layout::kNT, counts, 0, 64, 32}));
    all.push_back(GroupedGemmCase({Layout::kNN, counts, 0, 64, 64}));
    all.push_back(GroupedGemmCase({Layout::kTN, counts, 64, 64, 0}));
  }
  all.push_back(GroupedGemmCase({Layout::kNT, std::vector<int64_t>(16, 256), 0, 1408, 768}));
  return all;
}

}  // namespace hone::kernels::testing
