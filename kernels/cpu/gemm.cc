// Matrix products: who computes which block. The arithmetic is in gemm_tile.cc (f32) and
// gemm_bf16.cc.

#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/kernels_isa.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {
namespace {

// Floating-point operations that are worth a thread (a few microseconds).
constexpr int64_t kFlopsPerPart = 400 * 1000;

struct Blocks {
  int64_t rows, cols;    // of one block
  int64_t down, across;  // how many
};

// Cuts [m, n] into blocks for `batch` products on a team of `members`.
Blocks Cut(int64_t m, int64_t n, int64_t k, int64_t batch, int members) {
  Blocks b;
  b.cols = BlockCols(n, k);
  b.rows = m;
  // A block of weights is packed by everybody who uses it: cut the side that is longer.
  const int64_t across = (n + b.cols - 1) / b.cols;
  if (members > 1 && batch * across < 4 * members) {
    if (m >= n) {
      b.rows = std::max<int64_t>((m / (2 * members) / kTileRows) * kTileRows, kTileRows);
      b.rows = std::min(b.rows, m);
    } else {
      const int64_t want = (4 * members + batch - 1) / batch;
      b.cols = std::min(b.cols, std::max<int64_t>(n / want / kTileCols * kTileCols, kTileCols));
    }
  }
  b.down = (m + b.rows - 1) / b.rows;
  b.across = (n + b.cols - 1) / b.cols;
  return b;
}

int Members(Stream stream) {
  return stream == nullptr ? 1 : static_cast<Team*>(stream)->size();
}

Product ProductOf(const GemmArgs& g, int64_t batch) {
  const float* a = static_cast<const float*>(g.a) + batch * g.stride_a;
  const int64_t size = g.c_dtype == DType::kF32 ? 4 : 2;
  const int64_t c = batch * g.stride_c * size;
  const bool tn = g.layout == Layout::kTN;
  return {.a = a,
          .a_row = tn ? 1 : g.lda,
          .a_col = tn ? g.lda : 1,
          .b = static_cast<const float*>(g.b) + batch * g.stride_b,
          .ldb = g.ldb,
          .b_transposed = g.layout == Layout::kNT,
          .c = static_cast<char*>(g.c) + c,
          .add = g.add == nullptr ? nullptr : static_cast<const char*>(g.add) + c,
          .ldc = g.ldc,
          .c_dtype = g.c_dtype,
          .k = g.k};
}

}  // namespace

Error Gemm(const GemmArgs& g, Stream stream) {
  if (g.m <= 0 || g.n <= 0 || g.batch <= 0) return nullptr;
  if (g.dtype != DType::kF32) return GemmBF16(g, stream);
  const Blocks b = Cut(g.m, g.n, g.k, g.batch, Members(stream));
  const int64_t flops = 2 * b.rows * b.cols * std::max<int64_t>(g.k, 1);
  // Blocks of the same columns are neighbours, so that a part packs them once.
  ParallelFor(stream, g.batch * b.across * b.down, kFlopsPerPart / flops + 1,
              [&](int64_t begin, int64_t end) {
                float* pack = static_cast<float*>(Scratch(4 * BlockMemory(g.k, b.cols)));
                for (int64_t i = begin; i < end;) {
                  const int64_t column = i / b.down;
                  const int64_t stop = std::min(end, (column + 1) * b.down);
                  const int64_t m0 = (i - column * b.down) * b.rows;
                  const int64_t m1 = std::min(g.m, (stop - column * b.down) * b.rows);
                  const int64_t n0 = column % b.across * b.cols;
                  ComputeBlock(ProductOf(g, column / b.across), m0, m1, n0,
                               std::min(g.n, n0 + b.cols), pack);
                  i = stop;
                }
              });
  return nullptr;
}

Error GroupedGemm(const GroupedGemmArgs& g, Stream stream) {
  if (g.experts <= 0 || g.n <= 0) return nullptr;
  if (g.dtype != DType::kF32) return GroupedGemmBF16(g, stream);
  const float* a = static_cast<const float*>(g.a);
  const float* b = static_cast<const float*>(g.b);
  if (g.layout == Layout::kTN) {
    if (g.c_dtype != DType::kF32) return "grouped_gemm: c of layout TN must be f32";
    if (g.m <= 0) return nullptr;
    const int64_t rows = g.offsets[g.experts] - g.offsets[0];
    if (rows == 0) return nullptr;
    // Cut along m, by as much work as possible: experts have unequal rows.
    const int64_t down = (g.m + kTileRows - 1) / kTileRows;
    const int64_t flops = 2 * g.m * g.n * rows / g.experts / down;
    ParallelFor(stream, g.experts * down, kFlopsPerPart / (flops + 1) + 1,
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end;) {
                    const int64_t e = i / down, stop = std::min(end, (e + 1) * down);
                    const int64_t first = g.offsets[e], k = g.offsets[e + 1] - first;
                    if (k > 0) {
                      float* c = static_cast<float*>(g.c) + e * g.m * g.n;
                      const Product p{.a = a + first * g.m,
                                      .a_row = 1,
                                      .a_col = g.m,
                                      .b = b + first * g.n,
                                      .ldb = g.n,
                                      .b_transposed = false,
                                      .c = c,
                                      .add = c,
                                      .ldc = g.n,
                                      .c_dtype = DType::kF32,
                                      .k = k};
                      const int64_t m0 = (i - e * down) * kTileRows;
                      const int64_t m1 = std::min(g.m, (stop - e * down) * kTileRows);
                      const int64_t cols = BlockCols(g.n, k);
                      float* pack = static_cast<float*>(Scratch(4 * BlockMemory(k, cols)));
                      for (int64_t n = 0; n < g.n; n += cols)
                        ComputeBlock(p, m0, m1, n, std::min(g.n, n + cols), pack);
                    }
                    i = stop;
                  }
                });
    return nullptr;
  }
  // Parts are ranges of rows; a range may cross experts.
  const int64_t begin_row = g.offsets[0], rows = g.offsets[g.experts] - begin_row;
  ParallelFor(stream, rows, std::max<int64_t>(kFlopsPerPart / (2 * g.n * g.k + 1), 1),
              [&](int64_t begin, int64_t end) {
                begin += begin_row;
                end += begin_row;
                const int64_t cols = BlockCols(g.n, g.k);
                float* pack = static_cast<float*>(Scratch(4 * BlockMemory(g.k, cols)));
                for (int64_t e = 0; e < g.experts; ++e) {
                  const int64_t m0 = std::max<int64_t>(begin, g.offsets[e]);
                  const int64_t m1 = std::min<int64_t>(end, g.offsets[e + 1]);
                  if (m0 >= m1) continue;
                  const Product p{.a = a,
                                  .a_row = g.k,
                                  .a_col = 1,
                                  .b = b + e * g.n * g.k,
                                  .ldb = g.layout == Layout::kNT ? g.k : g.n,
                                  .b_transposed = g.layout == Layout::kNT,
                                  .c = g.c,
                                  .add = nullptr,
                                  .ldc = g.n,
                                  .c_dtype = g.c_dtype,
                                  .k = g.k};
                  for (int64_t n = 0; n < g.n; n += cols)
                    ComputeBlock(p, m0, m1, n, std::min(g.n, n + cols), pack);
                }
              });
  return nullptr;
}

}  // namespace hone::kernels::cpu::HONE_ISA
