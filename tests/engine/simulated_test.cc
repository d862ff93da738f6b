#include <functional>
#include <set>

#include "tests/engine/device_training.h"
#include "tests/kernels/tables.h"

namespace hone {
namespace {

// What was sampled has the same bits in Score (Train checks it) and in the learner's pass.
TEST_CASE("the CUDA kernels generate, score and train with rollout and learner as one",
          "[engine]") {
  if (kernels::testing::DeviceTable() == nullptr) HONE_SKIP("neither a GPU nor nvcc");
  const kernels::Table& table = *kernels::testing::DeviceTable();
  INFO(table.name);
  for (const Variant& v : Variants()) {
    INFO(v.text());
    const Outcome got = Train(v.name, v.dtype, v.lora, v.optimizer, table);
    CHECK(got.steps[0].at("logprob_abs_diff_max") == 0);
    if (v.dtype != DType::kF32) continue;
    // Rounding apart, the CPU's step.
    const Outcome cpu = Train(v.name, v.dtype, v.lora, v.optimizer, kernels::Cpu());
    CHECK(got.steps[0].at("grad_norm") == Approx(cpu.steps[0].at("grad_norm")).epsilon(1e-3));
  }
}

// Generates with other weights after `steps`. The number of steps done from a recording.
int64_t GenerateThrough(const World& world, const std::shared_ptr<const Weights>& later, int steps,
                        const Engine::Options& options, Completions& out) {
  Engine engine(*world.model, nullptr, options, [&](const GroupRequest& r, v1::Completion c) {
    c.clear_generate_seconds();
    out[{r.issue, c.sample_index()}] = std::move(c);
  });
  engine.SetWeights(world.weights(), 5, InFlight::kKeep);
  std::vector<GroupRequest> requests = world.Requests(4, 30);
  requests[3].sampling.set_top_k(5);
  requests[4].sampling.set_top_p(0.8f);
  requests[5].sampling.set_temperature(0);
  for (GroupRequest& r : requests) REQUIRE_OK(engine.Submit(std::move(r)));
  for (int i = 0; engine.Step(); ++i)
    if (i == steps) engine.SetWeights(later, 6, InFlight::kKeep);
  return engine.replayed_steps();
}

TEST_CASE("decoding steps done again from a recording have the bits of those that are not",
          "[engine]") {
  if (kernels::testing::DeviceTable() == nullptr) HONE_SKIP("neither a GPU nor nvcc");
  const kernels::Table& table = *kernels::testing::DeviceTable();
  INFO(table.name);
  static kernels::Table calls;  // the same without recordings
  calls = table;
  calls.record = nullptr;
  for (const auto& [name, dtype] :
       {std::pair("dsv3", DType::kBF16), std::pair("qwen3_moe", DType::kF32)}) {
    INFO(name);
    const World recording(name, dtype, {}, table), calling(name, dtype, {}, calls);
    const World later(name, dtype, {}, table), later_calling(name, dtype, {}, calls);
    for (const World* world : {&later, &later_calling}) {
      v1::SftStage sft;
      sft.set_steps(1);
      sft.mutable_optimizer()->set_learning_rate(1e-2);
      world->trainer->BeginStage(/*with_reference=*/false);
      const std::vector<Demonstration> demonstrations = {{{3, 4, 5}, {6, 7, 1}}};
      REQUIRE_OK(world->trainer->SftStep(sft, demonstrations, 0));
    }
    for (const Engine::Options& options :
         {Engine::Options{.cache_tokens = 4096, .dtype = dtype},
          // Prefill and decoding mixed, preemptions.
          Engine::Options{.max_batch_tokens = 40, .cache_tokens = 768, .dtype = dtype}}) {
      Completions got, want;
      CHECK(GenerateThrough(recording, later.weights(), 12, options, got) > 5);
      CHECK(GenerateThrough(calling, later_calling.weights(), 12, options, want) == 0);
      CheckEqual(got, want);
    }
  }
}

// Generates while the weights are trained in place before the steps of `updates` and set again
// after every step, as the object that `set` makes of them. The number of steps done from a
// recording.
int64_t GenerateInPlace(const std::string& name, const kernels::Table& table,
                        const std::function<std::shared_ptr<const Weights>(const World&)>& set,
                        const std::set<int>& updates, Completions& out) {
  const World world(name, DType::kF32, {}, table);
  world.trainer->BeginStage(/*with_reference=*/false);
  Engine engine(*world.model, nullptr, {.cache_tokens = 4096},
                [&](const GroupRequest& r, v1::Completion c) {
                  c.clear_generate_seconds();
                  c.clear_versions();
                  out[{r.issue, c.sample_index()}] = std::move(c);
                });
  v1::SftStage sft;
  sft.set_steps(10);
  sft.mutable_optimizer()->set_learning_rate(1e-2);
  const std::vector<Demonstration> demonstrations = {{{3, 4, 5}, {6, 7, 1}}};
  for (GroupRequest& r : world.Requests(4, 30)) REQUIRE_OK(engine.Submit(std::move(r)));
  int step = 0;
  do {
    engine.Synchronize();
    if (updates.contains(step)) REQUIRE_OK(world.trainer->SftStep(sft, demonstrations, 0));
    engine.SetWeights(set(world), step++, InFlight::kKeep);
  } while (engine.Step());
  return engine.replayed_steps();
}

TEST_CASE("recordings outlive an update of the weights in place, but not another place",
          "[engine]") {
  if (kernels::testing::DeviceTable() == nullptr) HONE_SKIP("neither a GPU nor nvcc");
  const kernels::Table& table = *kernels::testing::DeviceTable();
  INFO(table.name);
  static kernels::Table calls;
  calls = table;
  calls.record = nullptr;
  const auto same = [](const World& world) { return world.trainer->shared_weights(); };
  const auto copy = [](const World& world) {
    auto weights = std::make_shared<Weights>(world.model->layout(), world.trainer->weights());
    const Device on(world.model->table(), 1);
    CopyTrained(on, world.trainer->weights(), *weights);
    on.Synchronize();
    return weights;
  };
  const std::set<int> updates = {9, 10, 14};
  Completions want, got, copied;
  CHECK(GenerateInPlace("dsv3", calls, same, updates, want) == 0);
  CHECK(GenerateInPlace("dsv3", table, same, updates, got) > 5);
  CHECK(GenerateInPlace("dsv3", table, copy, updates, copied) == 0);
  CheckEqual(got, want);
  CheckEqual(copied, want);
}

}  // namespace
}  // namespace hone
