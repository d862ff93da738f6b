// kernels_bench [part of a name]: every op case of tests/kernels by time, on one thread and on all;
// then, on a machine with a GPU, cases of its size. Those that are bound by memory are compared
// with a copy in the same run.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "bench/kernels/device_cases.h"
#include "bench/kernels/timing.h"
#include "kernels/kernels.h"
#include "tests/kernels/cases/attention_backward.h"
#include "tests/kernels/cases/gemm.h"
#include "tests/kernels/cases/head.h"
#include "tests/kernels/cases/moe.h"
#include "tests/kernels/cases/optimizer.h"
#include "tests/kernels/cases/rope.h"
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

// Seconds per call on the device: the time of many calls until the last one is done.
hone::bench::Timing TimeOnDevice(const Job& job, const hone::kernels::Table& cuda) {
  const auto calls = [&](int n) {
    for (int i = 0; i < n; ++i) job.call(cuda, nullptr);
    hone::kernels::testing::Synchronize();
  };
  calls(3);
  const double start = hone::bench::Now(hone::bench::Clock::kWall);
  calls(3);
  const double once = (hone::bench::Now(hone::bench::Clock::kWall) - start) / 3;
  const int n = std::clamp(static_cast<int>(0.01 / once), 1, 1000);
  hone::bench::Timing t =
      hone::bench::Interleaved({{[&] { calls(n); }, hone::bench::Clock::kWall}})[0];
  t.median /= n;
  t.best /= n;
  return t;
}

// Prints a line and returns bytes per second; `copy` is that of a copy, 0 when this is it.
double MeasureOnDevice(const Case& c, DType dtype, double copy) {
  const hone::kernels::Table& cuda = *hone::kernels::Cuda();
  const Job job = c.job(dtype, 0, c.rows);
  if (const char* error = job.call(cuda, nullptr)) {
    std::printf("%-58s %s\n", c.name.c_str(), error);
    return 0;
  }
  const auto t = TimeOnDevice(job, cuda);
  const double rate = c.bytes * (dtype == DType::kF32 ? 1 : 0.5) / t.median;
  std::printf("%-58s %-4s %10.2f us", c.name.c_str(), dtype == DType::kF32 ? "f32" : "bf16",
              t.median * 1e6);
  std::printf(" %8.1f GB/s", rate / 1e9);
  if (copy > 0) std::printf(" %5.1f %% of a copy", 100 * rate / copy);
  if (c.flops > 0) std::printf(" %8.1f TFLOP/s", c.flops / t.median / 1e12);
  std::printf("\n");
  std::fflush(stdout);
  return rate;
}

void MeasureDevice(const std::string& filter) {
  using namespace hone::kernels::testing;
  std::printf("on the GPU: medians of 15, until the device is done\n");
  const double copy = MeasureOnDevice(CopyCase(128 << 20), DType::kF32, 0);
  for (const auto& cases : {DeviceBenchCases(), DeviceAttentionCases()})
    for (const Case& c : cases) {
      if (c.name.find(filter) == std::string::npos || !c.has(*hone::kernels::Cuda())) continue;
      MeasureOnDevice(c, DType::kF32, copy);
      if (c.bf16_tolerance > 0) MeasureOnDevice(c, DType::kBF16, copy);
    }
}

}  // namespace

int main(int argc, char** argv) {
  using namespace hone::kernels::testing;
  const std::string filter = argc > 1 ? argv[1] : "";
  const int threads = static_cast<int>(std::thread::hardware_concurrency());
  hone::kernels::Stream team = nullptr;
  hone::kernels::Cpu().open({.threads = threads}, &team);
  std::printf("columns: 1 thread by its CPU clock, %d threads by the wall clock; medians of 15\n",
              threads);
  for (const auto& cases : {GemmBenchCases(), GroupedGemmBenchCases(), AttentionBenchCases(),
                            AttentionBackwardBenchCases(), HeadBenchCases(), MoeBenchCases(),
                            RowBenchCases(), RopeBenchCases(), OptimizerBenchCases()})
    for (const Case& c : cases) {
      if (c.name.find(filter) == std::string::npos) continue;
      Measure(c, DType::kF32, team);
      const bool product = c.name.find("gemm") != std::string::npos;
      if (c.bf16_tolerance > 0 && (!product || hone::kernels::Cpu().has_bf16()))
        Measure(c, DType::kBF16, team);
    }
  hone::kernels::Cpu().close(team);
  if (hone::kernels::Cuda() == nullptr) {
    std::printf("SKIPPED: CUDA: %s\n", hone::kernels::CudaAbsence().reason);
  } else {
    MeasureDevice(filter);
  }
}
