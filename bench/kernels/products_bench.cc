// products_bench [seconds per figure]: matrix products of the CUDA table beside cuBLASLt's, on the
// same memory in one run, bf16 into f32 or bf16. Grouped products are compared with a loop of
// cuBLASLt over the experts. A second line per shape says how far the results are apart. Needs a
// build with CUDA.

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "kernels/kernels.h"

namespace {

using hone::kernels::DType;
using hone::kernels::GemmArgs;
using hone::kernels::GroupedGemmArgs;
using hone::kernels::Layout;

template <typename Status>
void Check(Status status, const char* what) {
  if (static_cast<int>(status) == 0) return;
  std::fprintf(stderr, "products_bench: %s failed: %d\n", what, static_cast<int>(status));
  std::exit(1);
}
void CheckError(hone::kernels::Error error) {
  if (error == nullptr) return;
  std::fprintf(stderr, "products_bench: %s\n", error);
  std::exit(1);
}

class Device {
 public:
  explicit Device(int64_t bytes) {
    Check(cudaMalloc(&p_, static_cast<size_t>(bytes)), "cudaMalloc");
  }
  ~Device() { cudaFree(p_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  char* get() const { return static_cast<char*>(p_); }

 private:
  void* p_ = nullptr;
};

// bf16 of both signs, about 0.5 to 2 in size.
void Fill(char* to, int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint16_t> x(static_cast<size_t>(n));
  for (uint16_t& v : x) v = static_cast<uint16_t>(0x3f00 + (random() & 0x80ff));
  Check(cudaMemcpy(to, x.data(), 2 * x.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
}

// Median seconds per call.
double Time(const std::function<void()>& call, double seconds) {
  cudaEvent_t begin, end;
  Check(cudaEventCreate(&begin), "cudaEventCreate");
  Check(cudaEventCreate(&end), "cudaEventCreate");
  const auto once = [&](int calls) {
    Check(cudaEventRecord(begin), "cudaEventRecord");
    for (int i = 0; i < calls; ++i) call();
    Check(cudaEventRecord(end), "cudaEventRecord");
    Check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float ms = 0;
    Check(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
    return ms * 1e-3 / calls;
  };
  once(3);
  constexpr int kRounds = 11;
  const int calls = std::clamp(static_cast<int>(seconds / kRounds / once(3)), 1, 1000);
  std::vector<double> times;
  for (int i = 0; i < kRounds; ++i) times.push_back(once(calls));
  std::sort(times.begin(), times.end());
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return times[kRounds / 2];
}

// cuBLASLt counts by columns: its first operand is our b, its second our a, its result our c.
class Lt {
 public:
  Lt(const GemmArgs& g, cublasLtHandle_t handle, const Device& workspace)
      : handle_(handle), workspace_(workspace.get()), g_(g) {
    Check(cublasLtMatmulDescCreate(&matmul_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "MatmulDescCreate");
    const cublasOperation_t b = g.layout == Layout::kNT ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t a = g.layout == Layout::kTN ? CUBLAS_OP_T : CUBLAS_OP_N;
    Check(cublasLtMatmulDescSetAttribute(matmul_, CUBLASLT_MATMUL_DESC_TRANSA, &b, sizeof b),
          "TRANSA");
    Check(cublasLtMatmulDescSetAttribute(matmul_, CUBLASLT_MATMUL_DESC_TRANSB, &a, sizeof a),
          "TRANSB");
    const auto layout = [](cublasLtMatrixLayout_t* l, cudaDataType type, int64_t rows, int64_t cols,
                           int64_t ld) {
      Check(cublasLtMatrixLayoutCreate(l, type, static_cast<uint64_t>(rows),
                                       static_cast<uint64_t>(cols), ld),
            "MatrixLayoutCreate");
    };
    const bool nt = g.layout == Layout::kNT, tn = g.layout == Layout::kTN;
    layout(&b_, CUDA_R_16BF, nt ? g.k : g.n, nt ? g.n : g.k, g.ldb);
    layout(&a_, CUDA_R_16BF, tn ? g.m : g.k, tn ? g.k : g.m, g.lda);
    layout(&c_, g.c_dtype == DType::kF32 ? CUDA_R_32F : CUDA_R_16BF, g.n, g.m, g.ldc);
    cublasLtMatmulPreference_t preference;
    Check(cublasLtMatmulPreferenceCreate(&preference), "MatmulPreferenceCreate");
    const size_t bytes = kWorkspace;
    Check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &bytes, sizeof bytes),
          "MAX_WORKSPACE_BYTES");
    int found = 0;
    Check(cublasLtMatmulAlgoGetHeuristic(handle, matmul_, b_, a_, c_, c_, preference, 1,
                                         &algorithm_, &found),
          "MatmulAlgoGetHeuristic");
    Check(found == 1 ? 0 : 1, "a cuBLASLt algorithm");
    cublasLtMatmulPreferenceDestroy(preference);
  }
  ~Lt() {
    for (cublasLtMatrixLayout_t l : {a_, b_, c_}) cublasLtMatrixLayoutDestroy(l);
    cublasLtMatmulDescDestroy(matmul_);
  }
  Lt(const Lt&) = delete;
  Lt& operator=(const Lt&) = delete;
  void Run() const {
    const float alpha = 1, beta = g_.add == nullptr ? 0.0f : 1.0f;
    Check(cublasLtMatmul(handle_, matmul_, &alpha, g_.b, b_, g_.a, a_, &beta, g_.c, c_, g_.c, c_,
                         &algorithm_.algo, workspace_, kWorkspace, nullptr),
          "cublasLtMatmul");
  }
  static constexpr size_t kWorkspace = 32 << 20;

 private:
  cublasLtHandle_t handle_;
  void* workspace_;
  GemmArgs g_;
  cublasLtMatmulDesc_t matmul_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, c_ = nullptr;
  cublasLtMatmulHeuristicResult_t algorithm_;
};

const char* Name(Layout l) {
  return l == Layout::kNT ? "NT" : l == Layout::kNN ? "NN" : "TN";
}

std::vector<float> Floats(const char* from, int64_t n, DType dtype) {
  std::vector<float> x(static_cast<size_t>(n));
  if (dtype == DType::kF32) {
    Check(cudaMemcpy(x.data(), from, 4 * x.size(), cudaMemcpyDeviceToHost), "cudaMemcpy");
    return x;
  }
  std::vector<uint16_t> bits(x.size());
  Check(cudaMemcpy(bits.data(), from, 2 * x.size(), cudaMemcpyDeviceToHost), "cudaMemcpy");
  for (size_t i = 0; i < x.size(); ++i) {
    const uint32_t b = uint32_t{bits[i]} << 16;
    std::memcpy(&x[i], &b, 4);
  }
  return x;
}

// ||ours - theirs|| / ||theirs||; what is not written counts as NaN.
double Distance(const std::vector<float>& ours, const std::vector<float>& theirs) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    error += std::pow(double{ours[i]} - theirs[i], 2);
    norm += std::pow(double{theirs[i]}, 2);
  }
  return std::sqrt(error / norm);
}

// Both into the same kind of memory, poisoned before; prints the line.
void Compare(const char* name, double flops, char* c, int64_t elements, DType c_dtype,
             const std::function<void()>& ours, const std::function<void()>& theirs,
             double seconds) {
  const auto result = [&](const std::function<void()>& call) {
    Check(cudaMemset(c, 0xff, static_cast<size_t>(elements * (c_dtype == DType::kF32 ? 4 : 2))),
          "cudaMemset");
    call();
    Check(cudaDeviceSynchronize(), "the kernel");
    return Floats(c, elements, c_dtype);
  };
  const double apart = Distance(result(ours), result(theirs));
  const double t = Time(ours, seconds), u = Time(theirs, seconds);
  std::printf("%-44s ours %9.1f us %7.1f TFLOP/s  cuBLASLt %9.1f us %7.1f  x%.2f  apart %.1e%s\n",
              name, t * 1e6, flops / t / 1e12, u * 1e6, flops / u / 1e12, u / t, apart,
              apart < 1e-2 ? "" : "  WRONG");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.3;
  const hone::kernels::Table* cuda = hone::kernels::Cuda();
  if (cuda == nullptr) {
    std::printf("SKIPPED: CUDA: %s\n", hone::kernels::CudaAbsence().reason);
    return 77;
  }
  cudaDeviceProp device;
  Check(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties");
  std::printf("%s\n", device.name);
  cublasLtHandle_t handle;
  Check(cublasLtCreate(&handle), "cublasLtCreate");
  const Device workspace(Lt::kWorkspace);

  struct Shape {
    Layout layout;
    int64_t m, n, k;
    DType c_dtype;
  };
  std::vector<Shape> shapes{{Layout::kNT, 8192, 8192, 8192, DType::kBF16},
                            {Layout::kNT, 16384, 2048, 2048, DType::kBF16},
                            {Layout::kNT, 16384, 11264, 2048, DType::kBF16},
                            {Layout::kNT, 4096, 7168, 2048, DType::kF32}};
  for (int64_t m : {1, 16, 64, 256, 1024}) {
    shapes.push_back({Layout::kNT, m, 2048, 2048, DType::kBF16});
    shapes.push_back({Layout::kNT, m, 11264, 2048, DType::kBF16});
  }
  shapes.push_back({Layout::kNN, 16384, 2048, 11264, DType::kBF16});
  shapes.push_back({Layout::kTN, 11264, 2048, 16384, DType::kF32});
  for (const Shape& s : shapes) {
    const Device a(2 * s.m * s.k), b(2 * s.n * s.k), c(4 * s.m * s.n);
    Fill(a.get(), s.m * s.k, 1);
    Fill(b.get(), s.n * s.k, 2);
    const GemmArgs g{.a = a.get(),
                     .b = b.get(),
                     .c = c.get(),
                     .m = s.m,
                     .n = s.n,
                     .k = s.k,
                     .lda = s.layout == Layout::kTN ? s.m : s.k,
                     .ldb = s.layout == Layout::kNT ? s.k : s.n,
                     .ldc = s.n,
                     .layout = s.layout,
                     .dtype = DType::kBF16,
                     .c_dtype = s.c_dtype};
    const Lt lt(g, handle, workspace);
    char name[80];
    std::snprintf(name, sizeof name, "%s %ldx%ldx%ld -> %s", Name(s.layout), s.m, s.n, s.k,
                  s.c_dtype == DType::kF32 ? "f32" : "bf16");
    Compare(
        name, 2.0 * s.m * s.n * s.k, c.get(), s.m * s.n, s.c_dtype,
        [&] { CheckError(cuda->gemm(g, nullptr)); }, [&] { lt.Run(); }, seconds);
  }

  // Experts with unequal rows, 64 of 2048 -> 1408 as in DeepSeek-V2-Lite.
  constexpr int64_t kExperts = 64, kN = 1408, kK = 2048;
  for (int64_t rows : {256 * 6, 16384 * 6}) {
    std::vector<int32_t> offsets{0};
    for (int64_t e = 0; e < kExperts; ++e)
      offsets.push_back(
          static_cast<int32_t>(rows * (e + 1) * (e + 1 + kExperts) / (2 * kExperts * kExperts)));
    const Device a(2 * rows * kK), b(2 * kExperts * kN * kK), c(2 * rows * kN),
        o(4 * (kExperts + 1));
    Fill(a.get(), rows * kK, 3);
    Fill(b.get(), kExperts * kN * kK, 4);
    Check(cudaMemcpy(o.get(), offsets.data(), 4 * offsets.size(), cudaMemcpyHostToDevice),
          "cudaMemcpy");
    const GroupedGemmArgs g{.a = a.get(),
                            .b = b.get(),
                            .c = c.get(),
                            .offsets = reinterpret_cast<const int32_t*>(o.get()),
                            .experts = kExperts,
                            .n = kN,
                            .k = kK,
                            .rows = rows,
                            .layout = Layout::kNT,
                            .dtype = DType::kBF16,
                            .c_dtype = DType::kBF16};
    std::vector<std::unique_ptr<Lt>> loop;
    for (size_t e = 0; e < kExperts; ++e) {
      const int64_t first = offsets[e], m = offsets[e + 1] - first;
      if (m == 0) continue;
      loop.push_back(
          std::make_unique<Lt>(GemmArgs{.a = a.get() + 2 * first * kK,
                                        .b = b.get() + 2 * static_cast<int64_t>(e) * kN * kK,
                                        .c = c.get() + 2 * first * kN,
                                        .m = m,
                                        .n = kN,
                                        .k = kK,
                                        .lda = kK,
                                        .ldb = kK,
                                        .ldc = kN,
                                        .dtype = DType::kBF16,
                                        .c_dtype = DType::kBF16},
                               handle, workspace));
    }
    char name[80];
    std::snprintf(name, sizeof name, "64 experts, %ld rows x %ld x %ld", rows, kN, kK);
    Compare(
        name, 2.0 * rows * kN * kK, c.get(), rows * kN, DType::kBF16,
        [&] { CheckError(cuda->grouped_gemm(g, nullptr)); },
        [&] {
          for (const auto& lt : loop) lt->Run();
        },
        seconds);
  }
  cublasLtDestroy(handle);
}
