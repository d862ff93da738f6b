// weights_bench [LEARNING_RATE] [THREADS] [cpu|cuda]: AdamW steps of a bf16 model of about 100
// million parameters with random weights and gradients; after each the version goes to a worker as
// its changes and, for comparison, whole. Without gRPC: what the learner does until the bytes are
// ready, what the worker does with them.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "libs/base/check.h"
#include "libs/train/optimizer.h"
#include "libs/weights/snapshot.h"
#include "libs/weights/stager.h"

namespace hone {
namespace {

constexpr const char* kConfig =
    R"({"model_type": "deepseek_v3", "hidden_size": 768, "num_hidden_layers": 8,
  "num_attention_heads": 12, "num_key_value_heads": 12, "q_lora_rank": null, "kv_lora_rank": 256,
  "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64, "first_k_dense_replace": 1,
  "intermediate_size": 2048, "moe_intermediate_size": 384, "n_routed_experts": 8, "num_experts_per_tok": 2,
  "n_shared_experts": 2, "vocab_size": 16384, "tie_word_embeddings": false})";

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds and bytes of one way, per version.
struct Way {
  std::vector<double> take, stage, bytes;
  static double Median(std::vector<double> x) {
    std::nth_element(x.begin(), x.begin() + static_cast<int64_t>(x.size() / 2), x.end());
    return x[x.size() / 2];
  }
  void Print(const char* name) const {
    std::printf("%-8s %10.2f MB   learner %8.1f ms   worker %8.1f ms\n", name, Median(bytes) / 1e6,
                Median(take) * 1e3, Median(stage) * 1e3);
  }
};

struct Worker {
  Stager stager;
  std::shared_ptr<const Weights> used;  // by its engine
};

template <typename Take>
void Measure(Way& way, Worker& worker, const Take& take) {
  double start = Now();
  const std::shared_ptr<const Snapshot> transfer = take();
  way.take.push_back(Now() - start);
  way.bytes.push_back(static_cast<double>(transfer->bytes()));
  start = Now();
  absl::Status status = worker.stager.Begin(transfer->manifest());
  for (const v1::SubscribeResponse& message : transfer->chunks())
    if (status.ok()) status = worker.stager.Add(message.chunk());
  HONE_CHECK(status.ok()) << status.ToString();
  worker.used = worker.stager.Take();
  HONE_CHECK(worker.used != nullptr);
  way.stage.push_back(Now() - start);
}

int Main(int argc, char** argv) {
  const double learning_rate = argc > 1 ? std::atof(argv[1]) : 1e-6;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  const auto found = FindTable(argc > 3 && std::strcmp(argv[3], "cuda") == 0 ? DeviceKind::kCuda
                                                                             : DeviceKind::kCpu);
  if (!found.ok()) {
    std::printf("SKIPPED: %s\n", std::string(found.status().message()).c_str());
    return 0;
  }
  const kernels::Table& table = **found;
  const Device on(table, threads);
  const ParameterLayout layout(ParseModelConfig(kConfig).value());
  const auto weights = std::make_shared<Weights>(layout, DType::kBF16, table);
  InitializeWeights(layout, 1, *weights);
  // Gradients as the weights of another seed.
  ParameterArena gradients(layout.size(), DType::kF32, table);
  {
    Weights random(layout, DType::kF32, table);
    InitializeWeights(layout, 2, random);
    on.Copy(gradients.data(), random.trained().data(), gradients.bytes());
    on.Synchronize();
  }
  Optimizer optimizer(on, layout, *weights);
  Arena arena(table);
  v1::OptimizerSpec spec;
  WeightsVersion v{.run_id = "r", .layout = layout, .weights = weights};
  v.changes = optimizer.changes();
  Worker of_whole{{"r", layout, DType::kBF16, nullptr, table}, nullptr};
  Worker of_changes{{"r", layout, DType::kBF16, nullptr, table}, nullptr};
  Way first, whole, changes;
  Measure(first, of_changes, [&] { return Snapshot::Take(v); });
  for (v.version = 1; v.version < 10; ++v.version) {
    v.changes->Clear(on, v.version - 1);
    optimizer.Step(on, arena, spec, learning_rate, gradients, *weights);
    on.Synchronize();
    Measure(changes, of_changes,
            [&] { return Snapshot::TakeChanges(v, 3 * weights->trained().bytes()); });
    Measure(whole, of_whole, [&] { return Snapshot::Take(v); });
  }
  const double n = static_cast<double>(layout.size());
  std::printf("%s, %.1f M parameters, learning rate %g: %.2f %% of the weights change per step\n",
              table.name, n / 1e6, learning_rate, 100 * Way::Median(changes.bytes) / 4 / n);
  whole.Print("whole");
  changes.Print("changes");
  std::printf("whole / changes: bytes %.1f, learner %.1f, worker %.1f\n",
              Way::Median(whole.bytes) / Way::Median(changes.bytes),
              Way::Median(whole.take) / Way::Median(changes.take),
              Way::Median(whole.stage) / Way::Median(changes.stage));
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  return hone::Main(argc, argv);
}
