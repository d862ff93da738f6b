// kernels_bench [part of a name]: every op case of tests/kernels by time, on one thread and on all.

#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "bench/kernels/timing.h"
#include "kernels/kernels.h"
#include "tests/kernels/cases/attention.h"
#include "tests/kernels/cases/gemm.h"
#include "tests/kernels/cases/head.h"
#include "tests/kernels/cases/moe.h"
#include "tests/kernels/cases/optimizer.h"
#include "tests/kernels/cases/rows.h"

namespace {

using hone::kernels::DType;
using hone::kernels::testing::Case;
using hone::kernels::testing::Job;

void Measure(const Case& c, DType dtype, hone::kernels::Stream team) {
  const hone::kernels::Table& table = hone::kernels::Cpu();
  const Job job = c.job(dtype, 0, c.rows);
  if (const char* error = job.call(table, nullptr)) {
    std::printf("%-58s %s\n", c.name.c_str(), error);
    return;
  }
  const auto times =
      hone::bench::Interleaved({{[&] { job.call(table, nullptr); }, hone::bench::Clock::kThread},
                                {[&] { job.call(table, team); }, hone::bench::Clock::kWall}});
  const double bytes = c.bytes * (dtype == DType::kF32 ? 1 : 0.5);
  std::printf("%-58s %-4s", c.name.c_str(), dtype == DType::kF32 ? "f32" : "bf16");
  for (const auto& t : times) {
    std::printf(" %10.2f us", t.median * 1e6);
    if (c.flops > 0) {
      std::printf(" %7.1f GFLOP/s (best %7.1f)", c.flops / t.median / 1e9, c.flops / t.best / 1e9);
    } else {
      std::printf(" %7.2f GB/s (best %7.2f)", bytes / t.median / 1e9, bytes / t.best / 1e9);
    }
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace hone::kernels::testing;
  const std::string filter = argc > 1 ? argv[1] : "";
  const int threads = static_cast<int>(std::thread::hardware_concurrency());
  hone::kernels::Stream team = hone::kernels::Cpu().open(threads);
  std::printf("columns: 1 thread by its CPU clock, %d threads by the wall clock; medians of 15\n",
              threads);
  for (const auto& cases :
       {GemmBenchCases(), GroupedGemmBenchCases(), AttentionBenchCases(), HeadBenchCases(),
        MoeBenchCases(), RowBenchCases(), OptimizerBenchCases()})
    for (const Case& c : cases) {
      if (c.name.find(filter) == std::string::npos) continue;
      Measure(c, DType::kF32, team);
      const bool product = c.name.find("gemm") != std::string::npos;
      if (c.bf16_tolerance > 0 && (!product || hone::kernels::Cpu().has_bf16()))
        Measure(c, DType::kBF16, team);
    }
  hone::kernels::Cpu().close(team);
}
