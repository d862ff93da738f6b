// Matrix products: who computes which block. The arithmetic is in gemm_tile.cc (f32) and
// gemm_pairs.cc and gemm_amx.cc (bf16).

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/kernels_isa.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu::HONE_ISA {
namespace {

int64_t SizeOf(DType dtype) {
  return dtype == DType::kBF16 ? 2 : 4;
}
const void* At(const void* p, int64_t elements, DType dtype) {
  return p == nullptr ? nullptr : static_cast<const char*>(p) + elements * SizeOf(dtype);
}
void* At(void* p, int64_t elements, DType dtype) {
  return static_cast<char*>(p) + elements * SizeOf(dtype);
}

// Operations that are worth a thread: a few microseconds of them.
int64_t WorthOf(DType dtype) {
  return dtype == DType::kF32 ? 400 * 1000 : HasAmx() ? 2000 * 1000 : 800 * 1000;
}
// Edges of blocks: multiples of what one tile computes, for both types.
constexpr int64_t kEdge = 96;

Error CheckType(DType dtype) {
  return dtype == DType::kBF16 && !cpu::HasBf16()
             ? "gemm: bf16 needs a processor with AMX or AVX512-BF16"
             : nullptr;
}

}  // namespace

Error Gemm(const GemmArgs& g, Stream stream) {
  if (g.m <= 0 || g.n <= 0 || g.batch <= 0) return nullptr;
  if (Error error = CheckType(g.dtype)) return error;
  // Strips along the longer side, since who computes a strip packs the other side for himself.
  const bool by_rows = g.m >= g.n;
  const int64_t strips = ((by_rows ? g.m : g.n) + kEdge - 1) / kEdge;
  const int64_t flops = 2 * kEdge * (by_rows ? g.n : g.m) * std::max<int64_t>(g.k, 1);
  const bool tn = g.layout == Layout::kTN;
  ParallelFor(stream, g.batch * strips, WorthOf(g.dtype) / flops + 1,
              [&](int64_t begin, int64_t end) {
                while (begin < end) {
                  const int64_t batch = begin / strips, stop = std::min(end, (batch + 1) * strips);
                  const int64_t c = batch * g.stride_c;
                  const Product p{.a = At(g.a, batch * g.stride_a, g.dtype),
                                  .a_row = tn ? 1 : g.lda,
                                  .a_col = tn ? g.lda : 1,
                                  .b = At(g.b, batch * g.stride_b, g.dtype),
                                  .ldb = g.ldb,
                                  .b_transposed = g.layout == Layout::kNT,
                                  .dtype = g.dtype,
                                  .c = At(g.c, c, g.c_dtype),
                                  .add = At(g.add, c, g.c_dtype),
                                  .ldc = g.ldc,
                                  .c_dtype = g.c_dtype,
                                  .k = g.k};
                  const int64_t from = (begin - batch * strips) * kEdge;
                  const int64_t to = (stop - batch * strips) * kEdge;
                  if (by_rows) {
                    ComputeBlock(p, from, std::min(to, g.m), 0, g.n);
                  } else {
                    ComputeBlock(p, 0, g.m, from, std::min(to, g.n));
                  }
                  begin = stop;
                }
              });
  return nullptr;
}

namespace {

// C[e] += A^T B over the rows of each expert; strips of C's rows.
void GroupedWeights(const GroupedGemmArgs& g, Stream stream) {
  const int64_t rows = g.offsets[g.experts] - g.offsets[0];
  if (g.m <= 0 || rows == 0) return;
  constexpr int64_t kStrip = 16;  // narrow: experts have unequal rows
  const int64_t strips = (g.m + kStrip - 1) / kStrip;
  const int64_t flops = 2 * kStrip * g.n * (rows / g.experts + 1);
  ParallelFor(stream, g.experts * strips, WorthOf(g.dtype) / flops + 1,
              [&](int64_t begin, int64_t end) {
                while (begin < end) {
                  const int64_t e = begin / strips, stop = std::min(end, (e + 1) * strips);
                  const int64_t first = g.offsets[e], k = g.offsets[e + 1] - first;
                  if (k > 0) {
                    float* c = static_cast<float*>(g.c) + e * g.m * g.n;
                    ComputeBlock({.a = At(g.a, first * g.m, g.dtype),
                                  .a_row = 1,
                                  .a_col = g.m,
                                  .b = At(g.b, first * g.n, g.dtype),
                                  .ldb = g.n,
                                  .b_transposed = false,
                                  .dtype = g.dtype,
                                  .c = c,
                                  .add = c,
                                  .ldc = g.n,
                                  .c_dtype = DType::kF32,
                                  .k = k},
                                 (begin - e * strips) * kStrip,
                                 std::min(g.m, (stop - e * strips) * kStrip), 0, g.n);
                  }
                  begin = stop;
                }
              });
}

}  // namespace

Error GroupedGemm(const GroupedGemmArgs& g, Stream stream) {
  if (g.experts <= 0 || g.n <= 0) return nullptr;
  if (Error error = CheckType(g.dtype)) return error;
  if (g.layout == Layout::kTN) {
    if (g.c_dtype != DType::kF32) return "grouped_gemm: c of layout TN must be f32";
    GroupedWeights(g, stream);
    return nullptr;
  }
  // Parts are ranges of rows; a range may cross experts.
  const int64_t first = g.offsets[0], rows = g.offsets[g.experts] - first;
  ParallelFor(stream, rows, WorthOf(g.dtype) / (2 * g.n * g.k + 1) + 1,
              [&](int64_t begin, int64_t end) {
                for (int64_t e = 0; e < g.experts; ++e) {
                  const int64_t m0 = std::max<int64_t>(first + begin, g.offsets[e]);
                  const int64_t m1 = std::min<int64_t>(first + end, g.offsets[e + 1]);
                  if (m0 >= m1) continue;
                  const bool nt = g.layout == Layout::kNT;
                  ComputeBlock({.a = g.a,
                                .a_row = g.k,
                                .a_col = 1,
                                .b = At(g.b, e * g.n * g.k, g.dtype),
                                .ldb = nt ? g.k : g.n,
                                .b_transposed = nt,
                                .dtype = g.dtype,
                                .c = g.c,
                                .add = nullptr,
                                .ldc = g.n,
                                .c_dtype = g.c_dtype,
                                .k = g.k},
                               m0, m1, 0, g.n);
                }
              });
  return nullptr;
}

}  // namespace hone::kernels::cpu::HONE_ISA
