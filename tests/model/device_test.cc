// The passes on a device whose memory the host cannot touch (tests/testing/guarded_table.h).

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>

#include "libs/base/random.h"
#include "libs/model/balance.h"
#include "libs/model/load.h"
#include "libs/model/lora.h"
#include "libs/model/transformer.h"
#include "tests/kernels/tables.h"
#include "tests/model/goldens.h"
#include "tests/testing/guarded_table.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using testing::GuardedTable;

TEST_CASE("every backend that is complete says so, and is chosen by name", "[model]") {
  CHECK(MissingEntries(kernels::Cpu()).empty());
  CHECK(MissingEntries(GuardedTable()).empty());
  kernels::Table partial = kernels::Cpu();
  partial.attention = nullptr;
  partial.adamw = nullptr;
  CHECK(MissingEntries(partial) == std::vector<std::string>{"attention", "adamw"});

  CHECK(FindTable(DeviceKind::kCpu).value() == &kernels::Cpu());
  const bool cuda = kernels::Cuda() != nullptr && MissingEntries(*kernels::Cuda()).empty();
  CHECK(FindTable(DeviceKind::kAuto).value() == (cuda ? kernels::Cuda() : &kernels::Cpu()));
  CHECK((kernels::Cuda() == nullptr) == (kernels::CudaAbsence().reason != nullptr));
  const auto asked = FindTable(DeviceKind::kCuda);
  if (cuda) {
    CHECK(asked.value() == kernels::Cuda());
  } else {
    CHECK_CODE(asked, absl::StatusCode::kFailedPrecondition);
    REQUIRE(kernels::CudaAbsence().reason != nullptr);
    CHECK_THAT(std::string(asked.status().message()),
               Catch::Matchers::Contains(kernels::CudaAbsence().reason));
  }
}

TEST_CASE("guarded memory is out of the host's reach, and the host's out of a kernel's",
          "[model]") {
  const Device on(GuardedTable(), 1);
  const Memory memory(64, GuardedTable());
  float* const x = static_cast<float*>(memory.data());
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    volatile float read = x[0];
    _exit(read == 0 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));

  std::vector<float> host(16, 1);
  const auto axpby = [&](const float* from, float* to) {
    return GuardedTable().axpby({.x = from, .y = to, .n = 16, .a = 1, .b = 1}, on.stream());
  };
  CHECK(axpby(host.data(), x) != nullptr);
  CHECK(axpby(x, host.data()) != nullptr);
  CHECK(axpby(x, x) == nullptr);
  CHECK(GuardedTable().upload({x, host.data(), 64}, on.stream()) != nullptr);
  CHECK(GuardedTable().download({host.data(), x, 64}, on.stream()) != nullptr);
  on.Write(x, host.data(), 16);
  host.assign(16, 0);
  on.Read(host.data(), x, 16);
  CHECK(host == std::vector<float>(16, 1));
}

struct Result {
  std::vector<float> hidden, gradients, biases;
  ExpertLoad load;
  bool operator==(const Result&) const = default;
};

// Two sequences that share their prompt, forward and backward, and what the balance rules make of
// it.
Result Run(const std::string& name, DType dtype, const LoraConfig& lora,
           const kernels::Table& table) {
  const ModelConfig config = LoadModelConfig(GoldenPath(name)).value();
  const Transformer model(config, 0, lora, table);
  const ParameterLayout& layout = model.layout();
  Weights weights(layout, dtype, table);
  REQUIRE_OK(LoadWeights(HfReader::Open(GoldenPath(name)).value(), config, layout, weights));
  const Device on(table, 2);
  Arena arena(table);
  RandomStream random(uint64_t{3});
  const auto randomize = [&](void* to, int64_t n, double scale) {
    std::vector<float> values;
    for (int64_t i = 0; i < n; ++i) values.push_back(static_cast<float>(scale * random.Normal()));
    on.Write(static_cast<float*>(to), values.data(), n);
  };
  if (layout.adapted()) {
    InitializeAdapters(layout, 4, weights);
    randomize(weights.adapters.data(), weights.adapters.size(), 0.05);
    MergeAdapters(on, arena, layout, weights);
  }
  Batch batch;
  for (int32_t i = 0; i < 30; ++i) {
    batch.ids.push_back(static_cast<int32_t>(random.Below(static_cast<uint64_t>(config.vocab))));
    batch.positions.push_back(i < 20 ? i : i - 10);  // prompt of 10, then two of 10
  }
  const auto rows = [&](int32_t begin, int32_t end) {
    for (int32_t i = begin; i < end; ++i) batch.kv_rows.push_back(i);
  };
  rows(0, 20);
  rows(0, 10);
  rows(20, 30);
  batch.q_start = {0, 20, 30};
  batch.kv_start = {0, 20, 40};
  batch.cluster_start = {0, 2};
  SavedForward saved;
  const Matrix hidden = model.Forward(on, arena, weights, batch, saved);
  ParameterArena gradients(layout.trained_size(), DType::kF32, table);
  const Matrix direction = arena.NewMatrix(hidden.rows, hidden.cols, DType::kF32);
  randomize(direction.data, hidden.rows * hidden.cols, 1);
  const Matrix dhidden = arena.NewMatrix(hidden.rows, hidden.cols, dtype);
  const Matrix widened = arena.NewMatrix(hidden.rows, hidden.cols, DType::kF32);
  const auto cast = [&](const Matrix& from, const Matrix& to) {
    on.Run(on.table().cast, kernels::CastArgs{.x = from.data,
                                              .y = to.data,
                                              .n = from.rows * from.cols,
                                              .from = from.dtype,
                                              .to = to.dtype});
  };
  cast(direction, dhidden);
  cast(hidden, widened);
  model.Backward(on, arena, weights, batch, saved, dhidden, /*balance_alpha=*/0.1, gradients);

  Result r;
  r.load = NewExpertLoad(config);
  model.AddLoad(on, saved, r.load);
  UpdateRoutingBiases(on, arena, layout, r.load, 0.01, weights);
  const auto read = [&](const void* from, int64_t n) {
    std::vector<float> out(static_cast<size_t>(n));
    on.Read(out.data(), static_cast<const float*>(from), n);
    return out;
  };
  r.hidden = read(widened.data, hidden.rows * hidden.cols);
  r.gradients = read(gradients.data(), gradients.size());
  r.biases = read(weights.biases.data(), weights.biases.size());
  if (config.moe.experts > 0)
    for (size_t l = 0; l < r.load.size(); ++l) {
      int64_t routed = 0;
      for (const int64_t n : r.load[l]) routed += n;
      CHECK(routed == (config.sparse[l] ? 30 * config.moe.experts_per_token : 0));
    }
  return r;
}

TEST_CASE("forward and backward on a device give the bits of the host", "[model]") {
  const LoraConfig lora{.rank = 3, .alpha = 6, .targets = {LoraConfig::kAllLinear}};
  for (const char* name : kGoldens)
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      if (dtype == DType::kBF16 && !kernels::Cpu().has_bf16()) continue;
      for (const LoraConfig& adapters : {LoraConfig{}, lora}) {
        INFO(name << (dtype == DType::kBF16 ? " bf16" : " f32") << " rank " << adapters.rank);
        const Result want = Run(name, dtype, adapters, kernels::Cpu());
        CHECK(std::any_of(want.gradients.begin(), want.gradients.end(),
                          [](float g) { return g != 0; }));
        CHECK((Run(name, dtype, adapters, GuardedTable()) == want));
      }
    }
}

double RelativeL2(const std::vector<float>& got, const std::vector<float>& want) {
  REQUIRE(got.size() == want.size());
  double error = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += std::pow(double{got[i]} - want[i], 2);
    norm += std::pow(double{want[i]}, 2);
  }
  return std::sqrt(error / std::max(norm, 1e-30));
}

// Other trees of sums than the CPU's, so not its bits.
TEST_CASE("forward and backward by the CUDA kernels agree with the CPU", "[model]") {
  if (kernels::testing::DeviceTable() == nullptr) HONE_SKIP("neither a GPU nor nvcc");
  const kernels::Table& table = *kernels::testing::DeviceTable();
  INFO(table.name);
  const LoraConfig lora{.rank = 3, .alpha = 6, .targets = {LoraConfig::kAllLinear}};
  for (const char* name : kGoldens)
    for (const LoraConfig& adapters : {LoraConfig{}, lora}) {
      INFO(name << " rank " << adapters.rank);
      const Result want = Run(name, DType::kF32, adapters, kernels::Cpu());
      const Result got = Run(name, DType::kF32, adapters, table);
      CHECK(got.load == want.load);
      CHECK(got.biases == want.biases);
      CHECK(RelativeL2(got.hidden, want.hidden) <= 1e-5);
      CHECK(RelativeL2(got.gradients, want.gradients) <= 1e-4);
      // Twice the same bits: no order is left to chance.
      CHECK((Run(name, DType::kF32, adapters, table) == got));
    }
}

}  // namespace
}  // namespace hone
