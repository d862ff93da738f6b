// Every op case against the float64 reference, against itself in other batches and with other
// numbers of threads, in both instruction sets, and on CUDA.

#include <algorithm>

#include "kernels/cpu/cpu.h"
#include "tests/kernels/cases/attention_backward.h"
#include "tests/kernels/cases/bias.h"
#include "tests/kernels/cases/gemm.h"
#include "tests/kernels/cases/head.h"
#include "tests/kernels/cases/moe.h"
#include "tests/kernels/cases/optimizer.h"
#include "tests/kernels/cases/rope.h"
#include "tests/kernels/cases/rows.h"
#include "tests/kernels/tables.h"
#include "tests/testing/test.h"

namespace hone::kernels::testing {
namespace {

class Streams {
 public:
  explicit Streams(const Table& table) : table_(table) {
    for (int threads : {1, 2, 3})
      REQUIRE(table.open({.threads = threads}, &all_.emplace_back()) == nullptr);
  }
  ~Streams() {
    for (Stream s : all_) table_.close(s);
  }
  const std::vector<Stream>& all() const { return all_; }

 private:
  const Table& table_;
  std::vector<Stream> all_;
};

Result Run(const Case& c, const Table& table, Stream stream, DType dtype, int64_t begin,
           int64_t end) {
  const Job job = c.job(dtype, begin, end);
  const Error error = job.call(table, stream);
  INFO((error == nullptr ? "" : error));
  REQUIRE(error == nullptr);
  Synchronize();
  Result r = job.result();
  CHECK(r.intact);
  return r;
}

// The greatest error over (1 + the largest reference). NaN counts as infinite.
double Distance(const std::vector<float>& got, const Numbers& want) {
  REQUIRE(got.size() == want.size());
  double scale = 1, worst = 0;
  for (double w : want) scale = std::max(scale, std::abs(w));
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - want[i]) / scale;
    worst = std::max(worst, std::isnan(error) ? 1e300 : error);
  }
  return worst;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), 4 * a.size()) == 0);
}

// Rows [begin, end) of a result.
std::vector<float> Part(const std::vector<float>& rows, int64_t n, int64_t begin, int64_t end) {
  const int64_t w = static_cast<int64_t>(rows.size()) / n;
  return std::vector<float>(rows.begin() + begin * w, rows.begin() + end * w);
}

bool Named(const Case& c, const char* part) {
  return c.name.find(part) != std::string::npos;
}

std::vector<DType> TypesOf(const Case& c, bool bf16_products) {
  std::vector<DType> all{DType::kF32};
  const bool product = Named(c, "gemm");
  if (c.bf16_tolerance > 0 && (!product || bf16_products)) all.push_back(DType::kBF16);
  return all;
}

double Tolerance(const Case& c, DType dtype) {
  return dtype == DType::kF32 ? c.tolerance : c.bf16_tolerance;
}

void CheckReferences(const Case& c, DType dtype, const Result& whole) {
  const auto sampled = [&](const std::vector<float>& x) {
    if (c.sample.empty()) return x;
    std::vector<float> some;
    for (const int64_t at : c.sample) some.push_back(x.at(at));
    return some;
  };
  const double tolerance = Tolerance(c, dtype);
  if (c.rows_reference) CHECK(Distance(sampled(whole.rows), c.rows_reference()) <= tolerance);
  if (c.sums_reference) CHECK(Distance(sampled(whole.sums), c.sums_reference()) <= tolerance);
}

// Alone, the two halves, and an odd piece from the middle: the same bits as among all.
void CheckPieces(const Case& c, const Table& table, Stream stream, DType dtype,
                 const Result& whole) {
  if (c.sparse) return;
  const std::vector<std::pair<int64_t, int64_t>> pieces{{0, 1},
                                                        {c.rows - 1, c.rows},
                                                        {0, c.rows / 2},
                                                        {c.rows / 2, c.rows},
                                                        {c.rows / 3, c.rows / 3 + 1},
                                                        {c.rows / 5, c.rows - c.rows / 7}};
  for (auto [begin, end] : pieces) {
    if (begin < 0 || begin >= end || end > c.rows) continue;
    INFO("rows " << begin << " to " << end);
    const Result r = Run(c, table, stream, dtype, begin, end);
    CHECK(SameBits(r.rows, Part(whole.rows, c.rows, begin, end)));
  }
}

void CheckOnCpu(const Case& c) {
  INFO(c.name);
  static const Streams streams(Cpu());
  for (DType dtype : TypesOf(c, Cpu().has_bf16())) {
    INFO((dtype == DType::kF32 ? "f32" : "bf16"));
    const Result whole = Run(c, Cpu(), nullptr, dtype, 0, c.rows);
    CheckReferences(c, dtype, whole);
    for (Stream s : streams.all()) {
      const Result r = Run(c, Cpu(), s, dtype, 0, c.rows);
      CHECK(SameBits(r.rows, whole.rows));
      CHECK(SameBits(r.sums, whole.sums));
    }
    CheckPieces(c, Cpu(), streams.all()[1], dtype, whole);
    if (cpu::HasV4() && (dtype == DType::kF32 || (!Named(c, "gemm") && !Named(c, "attention")))) {
      const Result r = Run(c, cpu::v3::IsaTable(), nullptr, dtype, 0, c.rows);
      CHECK(SameBits(r.rows, whole.rows));
      CHECK(SameBits(r.sums, whole.sums));
    }
  }
}

// The CUDA table, on a device or a simulated one: right, the same bits again, and batch-invariant.
void CheckOnCuda(const Case& c, const Table& table) {
  if (!c.has(table)) return;
  INFO(table.name << ", " << c.name);
  for (DType dtype : TypesOf(c, true)) {
    INFO((dtype == DType::kF32 ? "f32" : "bf16"));
    const bool named = dtype == DType::kBF16 && c.kernel != nullptr;
    const char* const kernel = named && DeviceRuns(c.kernel) ? c.kernel : nullptr;
    const int64_t before = kernel == nullptr ? 0 : DeviceLaunches(kernel);
    const Result whole = Run(c, table, nullptr, dtype, 0, c.rows);
    if (kernel != nullptr) CHECK(DeviceLaunches(kernel) > before);
    CheckReferences(c, dtype, whole);
    const std::vector<DType> on_cpu = TypesOf(c, Cpu().has_bf16());
    if (std::find(on_cpu.begin(), on_cpu.end(), dtype) != on_cpu.end()) {
      const Result cpu = Run(c, Cpu(), nullptr, dtype, 0, c.rows);
      const double tolerance = 2 * Tolerance(c, dtype);
      CHECK(Distance(whole.rows, Numbers(cpu.rows.begin(), cpu.rows.end())) <= tolerance);
      CHECK(Distance(whole.sums, Numbers(cpu.sums.begin(), cpu.sums.end())) <= tolerance);
    }
    const Result again = Run(c, table, nullptr, dtype, 0, c.rows);
    CHECK(SameBits(again.rows, whole.rows));
    CHECK(SameBits(again.sums, whole.sums));
    // The rows of a product TN are channels: what they are may choose the arithmetic (TakesHopper).
    if (!Named(c, "gemm TN")) CheckPieces(c, table, nullptr, dtype, whole);
  }
}

void CheckAll(const std::vector<Case>& cases) {
  for (const Case& c : cases) CheckOnCpu(c);
}

TEST_CASE("gemm is right, batch-invariant and the same on any threads", "[kernels]") {
  CheckAll(GemmCases());
}
TEST_CASE("grouped_gemm is right, batch-invariant and the same on any threads", "[kernels]") {
  CheckAll(GroupedGemmCases());
}
TEST_CASE("row kernels are right, batch-invariant and the same on any threads", "[kernels]") {
  CheckAll(RowCases());
  CheckAll(RopeCases());
  CheckAll(BiasCases());
}
TEST_CASE("attention is right, batch-invariant and the same on any threads", "[kernels]") {
  CheckAll(AttentionCases());
  CheckAll(AttentionBackwardCases());
}
TEST_CASE("attention's gradients by the formulas are those by differences", "[kernels]") {
  for (const AttentionShape& shape : SmallAttentionBackwardShapes()) {
    INFO(shape.name);
    const AttentionLayout layout(shape);
    const AttentionInputs in(layout);
    const Numbers dout = Random(layout.rows() * shape.heads * shape.dv, 54);
    const AttentionGradients formulas = AttentionGradientsReference(layout, in, dout);
    const AttentionGradients differences = AttentionGradientsByDifferences(layout, in, dout);
    const auto check = [](const Numbers& x, const Numbers& y) {
      REQUIRE(x.size() == y.size());
      for (size_t i = 0; i < x.size(); ++i) CHECK(std::abs(x[i] - y[i]) < 1e-7);
    };
    check(formulas.q, differences.q);
    check(formulas.k, differences.k);
    check(formulas.v, differences.v);
  }
}
TEST_CASE("expert kernels are right, batch-invariant and the same on any threads", "[kernels]") {
  CheckAll(MoeCases());
}
TEST_CASE("head kernels are right, batch-invariant and the same on any threads", "[kernels]") {
  CheckAll(HeadCases());
}
TEST_CASE("optimiser kernels are right and the same on any threads", "[kernels]") {
  CheckAll(OptimizerCases());
}

std::vector<Case> AllCases() {
  std::vector<Case> all;
  for (const auto& cases :
       {GemmCases(), GroupedGemmCases(), RowCases(), RopeCases(), BiasCases(), AttentionCases(),
        AttentionBackwardCases(), MoeCases(), HeadCases(), OptimizerCases()})
    all.insert(all.end(), cases.begin(), cases.end());
  return all;
}

TEST_CASE("every op of the CUDA table is right and batch-invariant on a device", "[kernels][gpu]") {
  if (Cuda() == nullptr) {
    WARN("SKIPPED: CUDA: " << CudaAbsence().reason);
    return;
  }
  for (const Case& c : AllCases()) CheckOnCuda(c, *Cuda());
}

TEST_CASE("every op of the CUDA table is right and batch-invariant on a simulated device",
          "[kernels]") {
  if (SimulatedCuda() == nullptr) {
    WARN("SKIPPED: no nvcc");
    return;
  }
  for (const Case& c : AllCases()) CheckOnCuda(c, *SimulatedCuda());
}

TEST_CASE("products of a device's wide tiles are right and batch-invariant", "[kernels][gpu]") {
  if (Cuda() == nullptr) {
    WARN("SKIPPED: CUDA: " << CudaAbsence().reason);
    return;
  }
  for (const Case& c : LargeGemmCases()) CheckOnCuda(c, *Cuda());
  for (const Case& c : LargeGroupedGemmCases()) CheckOnCuda(c, *Cuda());
}

}  // namespace
}  // namespace hone::kernels::testing
