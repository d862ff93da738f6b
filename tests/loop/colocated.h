#pragma once

// A learner by the hand of a test, and what a worker in its process shares with it.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/loop/colocated_weights.h"
#include "libs/loop/model_folder.h"
#include "libs/model/lora.h"
#include "libs/reward/demo_model.h"
#include "libs/train/trainer.h"
#include "tests/testing/test.h"

namespace hone::testing {

inline void WaitFor(const std::function<bool()>& condition) {
  const TimePoint deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE(condition());
}

// Weights from and to elsewhere: nothing comes and nothing is kept.
struct Elsewhere final : WeightsSource, WeightsSink {
  void Follow(const std::string&, const std::string&, const Transformer&, DType,
              std::shared_ptr<const Weights>, std::function<void()>) override {
    following = true;
  }
  void Unfollow() override { following = false; }
  Arrival Take() override { return {}; }
  void Publish(const WeightsVersion& v) override { published.push_back(v.version); }
  bool following = false;
  std::vector<int64_t> published;
};

// The demo's model under training.
struct Learner {
  Learner(const v1::ModelSpec& spec, uint64_t seed, ColocatedWeights& to, std::string run_id = "r")
      : folder(OpenModelFolder(spec).value()), colocated(to), run(std::move(run_id)) {
    transformer = std::make_unique<Transformer>(folder.config, folder.max_context, folder.lora,
                                                *folder.table);
    trainer = std::make_unique<Trainer>(
        *transformer,
        Trainer::Options{
            .dtype = folder.dtype, .vocab = folder.vocab, .before_change = [this] { Recall(); }});
    InitializeWeights(transformer->layout(), seed, trainer->weights());
    if (transformer->layout().adapted())
      InitializeAdapters(transformer->layout(), seed, trainer->weights());
    trainer->WeightsChanged();
    trainer->BeginStage(/*with_reference=*/false);
  }
  void Recall() { colocated.Recall(trainer->weights()); }
  void Publish(int64_t version) {
    colocated.Publish({.run_id = run,
                       .version = version,
                       .layout = transformer->layout(),
                       .weights = trainer->shared_weights()});
  }
  // Changes the weights.
  void Step() {
    v1::SftStage sft;
    sft.set_steps(10);
    sft.mutable_optimizer()->set_learning_rate(1e-2);
    const std::vector<Demonstration> demonstrations = {{{3, 4, 5}, {6, 7, 2}}};
    HONE_CHECK(trainer->SftStep(sft, demonstrations, 0).ok());
  }

  ModelFolder folder;
  ColocatedWeights& colocated;
  const std::string run;
  std::unique_ptr<Transformer> transformer;
  std::unique_ptr<Trainer> trainer;
};

struct Fixture {
  Fixture() {
    REQUIRE_OK(WriteDemoModel(dir.path()));
    model.set_path(dir.path());
    model.set_device(v1::DEVICE_CPU);
    copies = metrics.AddCounter("hone_learner_weights_copies_total", "Copies of weights.");
    colocated = std::make_unique<ColocatedWeights>("here", elsewhere, elsewhere, copies);
  }
  // Follows without a loop.
  void Follow(const Learner& learner, const std::string& address = "here") {
    colocated->Follow(learner.run, address, *learner.transformer, learner.folder.dtype, nullptr,
                      [this] { ++arrivals; });
  }
  TempDir dir;
  v1::ModelSpec model;
  Metrics metrics;
  Counter copies;
  Elsewhere elsewhere;
  std::unique_ptr<ColocatedWeights> colocated;
  std::atomic<int> arrivals{0};
};

}  // namespace hone::testing
