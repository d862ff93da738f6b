// gemm_bench: our matrix products beside oneDNN's, in turns in one run, on one thread
// (OMP_NUM_THREADS=1). oneDNN f32 is a primitive of fixed M; bf16 has a run-time M, its only
// batch-invariant kind (kernels/README.md).

#include <cstdio>
#include <memory>
#include <unordered_map>
#include <vector>

#include "bench/kernels/timing.h"
#include "kernels/kernels.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace {

using hone::kernels::DType;
using hone::kernels::Layout;

struct Shape {
  Layout layout;
  int64_t m, n, k;
};

const char* Name(Layout l) {
  return l == Layout::kNT ? "NT" : l == Layout::kNN ? "NN" : "TN";
}

// One oneDNN product over the same memory and layout.
class Dnnl {
 public:
  Dnnl(const Shape& s, DType dtype, void* a, void* b, void* c)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dims = dnnl::memory::dims;
    const auto type =
        dtype == DType::kF32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
    const bool tn = s.layout == Layout::kTN, nt = s.layout == Layout::kNT;
    const dims a_strides = tn ? dims{1, s.m} : dims{s.k, 1};
    const dims b_strides = nt ? dims{1, s.k} : dims{s.n, 1};
    const dnnl::memory::desc a_real({s.m, s.k}, type, a_strides),
        b_real({s.k, s.n}, type, b_strides);
    const dnnl::memory::desc c_real({s.m, s.n}, dnnl::memory::data_type::f32, dims{s.n, 1});
    const bool run_time_m = dtype == DType::kBF16 && !tn;
    const int64_t m = run_time_m ? DNNL_RUNTIME_DIM_VAL : s.m;
    const dnnl::memory::desc a_any({m, s.k}, type, a_strides);
    const dnnl::memory::desc c_any({m, s.n}, dnnl::memory::data_type::f32, dims{s.n, 1});
    const dnnl::matmul::desc d(a_any, b_real, c_any);
    matmul_ = dnnl::matmul(dnnl::matmul::primitive_desc(d, engine_));
    arguments_ = {{DNNL_ARG_SRC, dnnl::memory(a_real, engine_, a)},
                  {DNNL_ARG_WEIGHTS, dnnl::memory(b_real, engine_, b)},
                  {DNNL_ARG_DST, dnnl::memory(c_real, engine_, c)}};
  }
  void Run() {
    matmul_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul matmul_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

void Compare(const Shape& s, DType dtype) {
  const int64_t size = dtype == DType::kF32 ? 4 : 2;
  std::vector<char> a(s.m * s.k * size), b(s.n * s.k * size);
  std::vector<float> c(s.m * s.n), c2(s.m * s.n);
  // Numbers of ordinary size in either type: 0x3f.. is about 0.5 to 1.
  for (size_t i = 0; i < a.size(); ++i) a[i] = i % 2 == 0 ? static_cast<char>(i * 7) : 0x3f;
  for (size_t i = 0; i < b.size(); ++i) b[i] = i % 2 == 0 ? static_cast<char>(i * 13) : 0x3f;
  const bool tn = s.layout == Layout::kTN;
  const hone::kernels::GemmArgs g{.a = a.data(),
                                  .b = b.data(),
                                  .c = c.data(),
                                  .m = s.m,
                                  .n = s.n,
                                  .k = s.k,
                                  .lda = tn ? s.m : s.k,
                                  .ldb = s.layout == Layout::kNT ? s.k : s.n,
                                  .ldc = s.n,
                                  .layout = s.layout,
                                  .dtype = dtype};
  std::unique_ptr<Dnnl> other;
  try {
    other = std::make_unique<Dnnl>(s, dtype, a.data(), b.data(), c2.data());
  } catch (const dnnl::error& e) {
    std::printf("%s %ldx%ldx%ld: oneDNN: %s\n", Name(s.layout), s.m, s.n, s.k, e.what());
    return;
  }
  const auto t = hone::bench::Interleaved(
      {{[&] { hone::kernels::Cpu().gemm(g, nullptr); }}, {[&] { other->Run(); }}});
  const double flops = 2.0 * s.m * s.n * s.k;
  std::printf(
      "%-4s %s %5ldx%5ldx%5ld  ours %9.2f us %7.1f GFLOP/s (best %7.1f)  oneDNN %9.2f us %7.1f "
      "(best %7.1f)  x%.2f\n",
      dtype == DType::kF32 ? "f32" : "bf16", Name(s.layout), s.m, s.n, s.k, t[0].median * 1e6,
      flops / t[0].median / 1e9, flops / t[0].best / 1e9, t[1].median * 1e6,
      flops / t[1].median / 1e9, flops / t[1].best / 1e9, t[1].median / t[0].median);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Shape> shapes = {
      {Layout::kNT, 1, 64, 64},       {Layout::kNT, 16, 64, 64},
      {Layout::kNT, 256, 64, 64},     {Layout::kNT, 256, 104, 64},
      {Layout::kNT, 256, 128, 64},    {Layout::kNT, 2600, 64, 64},
      {Layout::kNT, 2600, 104, 64},   {Layout::kNT, 2600, 128, 256},
      {Layout::kNT, 2600, 256, 128},  {Layout::kNN, 2600, 64, 64},
      {Layout::kNN, 2600, 64, 104},   {Layout::kNN, 2600, 256, 128},
      {Layout::kTN, 64, 64, 2600},    {Layout::kTN, 104, 64, 2600},
      {Layout::kTN, 128, 256, 2600},  {Layout::kNT, 16, 768, 768},
      {Layout::kNT, 1024, 768, 768},  {Layout::kNT, 1024, 2048, 768},
      {Layout::kNT, 1024, 768, 2048}, {Layout::kNN, 1024, 768, 2048},
      {Layout::kTN, 2048, 768, 1024}, {Layout::kNT, 64, 32000, 768},
      {Layout::kNT, 16, 2048, 2048},  {Layout::kNT, 2048, 2048, 2048}};
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    if (argc > 1 && (argv[1][0] == 'f') != (dtype == DType::kF32)) continue;
    if (dtype == DType::kBF16 && !hone::kernels::Cpu().has_bf16()) {
      std::printf("SKIPPED: no bf16 unit\n");
      continue;
    }
    for (const Shape& s : shapes) Compare(s, dtype);
  }
}
