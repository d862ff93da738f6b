// The whole system in one process: prompts in, groups generated, scored, stored, trained on,
// weights back.

#include <fstream>
#include <functional>
#include <iterator>

#include "libs/config/run_file.h"
#include "libs/loop/colocated_weights.h"
#include "libs/loop/learner_loop.h"
#include "libs/loop/rollout_loop.h"
#include "libs/reward/countdown_generator.h"
#include "libs/reward/demo_model.h"
#include "tests/testing/in_process_cluster.h"

namespace hone {
namespace {

using testing::LocalCoordinator;
using testing::LocalVerdicts;
using testing::LocalWeights;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Worker {
  // `colocated` is the learner's, or null: then the weights are sent.
  Worker(LocalCoordinator& coordinator, LocalVerdicts& verdicts, LocalWeights& weights,
         ColocatedWeights* colocated, const RolloutLoop::Options& options)
      : sent(weights),
        loop(options, coordinator, verdicts, coordinator,
             colocated == nullptr ? static_cast<WeightsSource&>(sent) : *colocated, nullptr) {
    thread = std::thread([this] { status = loop.Run(); });
  }
  LocalWeights::Source sent;
  RolloutLoop loop;
  absl::Status status;
  std::thread thread;
};

// What a worker in the learner's process must not ask.
struct NoWeights final : WeightsSource {
  void Follow(const std::string&, const std::string& address, const Transformer&, DType,
              std::shared_ptr<const Weights>, std::function<void()>) override {
    HONE_CHECK(false) << "weights were asked for at " << address;
  }
  void Unfollow() override {}
  Arrival Take() override { return {}; }
};

struct Setup {
  int workers = 1;
  int threads = 1;
  bool colocate = false;  // the first worker
  int64_t max_batch_tokens = 2048;
  int64_t interrupt = 0;  // the learner is replaced after this step of the run; 0: not
  std::string weights;    // bytes of model.safetensors to start from; empty: random
  std::vector<std::string> overrides;
  std::string documents;  // JSON lines of a further prompt set, if there are any
  std::function<void(v1::RunSpec&)> change;
};

struct Outcome {
  v1::Run run;
  std::string weights;  // bytes of the last checkpoint's model.safetensors
  std::string adapter;  // or of its adapter_model.safetensors
  std::vector<v1::StepMetrics> steps;
  std::vector<v1::Evaluation> evaluations;
  std::map<v1::IssueState, int> issues;
  double copies = 0;  // of weights, for the colocated worker
  int changes = 0;    // versions that travelled as what changed
};

Outcome RunDemo(const Setup& setup) {
  testing::TempDir dir;
  REQUIRE_OK(WriteCountdownData(
      dir.path(), {.seed = 3, .demonstrations = 3000, .prompts = 40, .validation = 8, .test = 8}));
  REQUIRE_OK(WriteDemoModel(dir.path() + "/model"));
  if (!setup.weights.empty())
    std::ofstream(dir.path() + "/model/model.safetensors", std::ios::binary) << setup.weights;
  auto buffer = Buffer::Open({.path = dir.path() + "/coordinator", .fsync = false});
  REQUIRE_OK(buffer);
  std::vector<std::string> sets = {"sft", "rl", "validation", "test"};
  if (!setup.documents.empty()) {
    sets.push_back("documents");
    std::ofstream(dir.path() + "/documents.jsonl") << setup.documents;
  }
  for (const std::string& name : sets) {
    const std::string id = "countdown-" + name;
    REQUIRE_OK((*buffer)->CreatePromptSet(id));
    REQUIRE_OK((*buffer)->AppendPrompts(id, 0, ReadAll(dir.path() + "/" + name + ".jsonl")));
    v1::SealPromptSetRequest seal;
    seal.set_id(id);
    REQUIRE_OK((*buffer)->SealPromptSet(seal));
  }
  std::vector<std::string> overrides = {
      "model.path=" + dir.path() + "/model",
      "checkpoint.path=" + dir.path() + "/checkpoints",
      "checkpoint.every_steps=37",
      "stages.0.sft.steps=110",
      "stages.0.sft.batch_size=32",
      "stages.0.sft.gate.min_pass_at_1=0",
      "stages.1.grpo.steps=5",
      "stages.1.grpo.prompts_per_step=4",
      "stages.1.grpo.group_size=8",
      "stages.1.grpo.updates_per_step=1",  // parity is then measured on every token
      "stages.1.grpo.drop_zero_variance=false",
      "stages.1.grpo.sampling.max_new_tokens=60",
      "stages.1.grpo.kl.monitor_every=2",
      "evaluations.0.samples=2",
      "evaluations.0.every_steps=3",
      "evaluations.1.samples=2"};
  overrides.insert(overrides.end(), setup.overrides.begin(), setup.overrides.end());
  auto spec = LoadRunSpec(std::string(HONE_EXAMPLES_DIR) + "/countdown.yaml", overrides);
  REQUIRE_OK(spec);
  if (setup.change) setup.change(*spec);
  v1::CreateRunRequest create;
  create.set_run_id("demo");
  *create.mutable_spec() = *spec;
  REQUIRE_OK((*buffer)->CreateRun(create));

  LocalCoordinator coordinator(**buffer);
  LocalVerdicts verdicts;
  LocalWeights weights;
  NoWeights elsewhere;
  Metrics metrics;
  const Counter copies =
      metrics.AddCounter("hone_learner_weights_copies_total", "Copies of weights.");
  ColocatedWeights colocated("here", elsewhere, weights, copies);
  WeightsSink& sink = setup.colocate ? static_cast<WeightsSink&>(colocated) : weights;
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < setup.workers; ++i)
    workers.push_back(std::make_unique<Worker>(
        coordinator, verdicts, weights, setup.colocate && i == 0 ? &colocated : nullptr,
        RolloutLoop::Options{.worker_id = "rollout-" + std::to_string(i),
                             .incarnation = 1,
                             .threads = setup.threads,
                             .max_batch_tokens = setup.max_batch_tokens}));
  LearnerLoop::Options options{.learner_id = "learner",
                               .incarnation = 1,
                               .weights_address = "here",
                               .threads = setup.threads,
                               .once = true};
  if (setup.interrupt > 0) {
    LearnerLoop first(options, coordinator, sink, nullptr);
    absl::Status ended;
    std::thread thread([&] { ended = first.Run(); });
    while ((*buffer)->GetRun("demo")->step() < setup.interrupt)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    first.Stop();
    thread.join();
    CHECK_OK(ended);
    options.incarnation = 2;
  }
  LearnerLoop learner(options, coordinator, sink, nullptr);
  (void)learner.Run();  // the run's state tells how it went
  coordinator.Stop();
  for (const auto& worker : workers) {
    worker->loop.Stop(/*drain=*/false);
    worker->thread.join();
    CHECK_OK(worker->status);
  }

  Outcome out;
  out.copies = copies.Value();
  out.changes = weights.changes();
  out.run = *(*buffer)->GetRun("demo");
  out.weights = ReadAll(out.run.checkpoint_path() + "/hf/model.safetensors");
  out.adapter = ReadAll(out.run.checkpoint_path() + "/adapter/adapter_model.safetensors");
  v1::ListStepMetricsRequest list;
  list.set_run_id("demo");
  list.set_page_size(1000);
  const auto steps = (*buffer)->ListStepMetrics(list);
  REQUIRE_OK(steps);
  out.steps.assign(steps->steps().begin(), steps->steps().end());
  v1::ListEvaluationsRequest evaluations;
  evaluations.set_run_id("demo");
  const auto listed = (*buffer)->ListEvaluations(evaluations);
  REQUIRE_OK(listed);
  out.evaluations.assign(listed->evaluations().begin(), listed->evaluations().end());
  v1::ListIssuesRequest issues;
  issues.set_run_id("demo");
  issues.set_stage("grpo");
  issues.set_page_size(1000);
  const auto all = (*buffer)->ListIssues(issues);
  REQUIRE_OK(all);
  for (const v1::Issue& issue : all->issues()) ++out.issues[issue.state()];
  return out;
}

TEST_CASE("a run goes through its stages, and how it was worked on leaves no trace in its weights",
          "[integration]") {
  static const Outcome base = RunDemo({});
  REQUIRE(base.run.state() == v1::RUN_STATE_SUCCEEDED);
  REQUIRE(base.run.step() == 115);
  REQUIRE_FALSE(base.weights.empty());
  REQUIRE(base.steps.size() == 115);
  CHECK(base.steps[109].values().at("loss") < base.steps[0].values().at("loss"));
  double signal = 0;
  for (size_t i = 110; i < 115; ++i) {
    INFO("grpo step " << i - 109);
    const auto& values = base.steps[i].values();
    CHECK(values.at("logprob_abs_diff_max") == 0);  // every token of every batch
    CHECK(values.at("completions") == 32);
    signal += values.at("reward_group_std");
    CHECK(values.at("unscored_fraction") == 0);
  }
  CHECK(signal > 0);  // the updates were made of something
  CHECK(base.issues.size() == 1);
  CHECK(base.issues.at(v1::ISSUE_STATE_COVERED) == 20);  // each prompt trained on once
  CHECK(base.evaluations.size() >= 5);
  for (const v1::Evaluation& e : base.evaluations) {
    CHECK(e.done());
    CHECK(e.prompts() == 8);
    CHECK(e.unscored() == 0);
  }

  SECTION("two workers, two threads, small batches") {
    CHECK(RunDemo({.workers = 2, .threads = 2, .max_batch_tokens = 40}).weights == base.weights);
  }
  SECTION("another learner takes over") {
    CHECK(RunDemo({.interrupt = 113}).weights == base.weights);
  }
  SECTION("the learner generates, in its own weights") {
    const Outcome colocated =
        RunDemo({.colocate = true, .overrides = {"evaluations.0.every_steps=0"}});
    CHECK(colocated.weights == base.weights);
    CHECK(colocated.copies == 0);
  }
  SECTION("the learner generates, beside a worker elsewhere, and is replaced") {
    CHECK(RunDemo({.workers = 2, .threads = 2, .colocate = true, .interrupt = 113}).weights ==
          base.weights);
  }
  SECTION("adapters over the frozen model: the same promises") {
    Setup setup{.weights = base.weights,
                .overrides = {"model.random_init=false", "model.lora.rank=4",
                              "stages.0.sft.steps=3", "stages.0.sft.optimizer.warmup_steps=0",
                              "stages.0.sft.moe.bias_update_rate=0",
                              "stages.1.grpo.moe.bias_update_rate=0", "checkpoint.every_steps=2"}};
    const Outcome adapted = RunDemo(setup);
    REQUIRE(adapted.run.state() == v1::RUN_STATE_SUCCEEDED);
    REQUIRE(adapted.steps.size() == 8);
    CHECK(adapted.weights.empty());
    REQUIRE_FALSE(adapted.adapter.empty());
    CHECK(adapted.adapter.size() < base.weights.size());
    for (size_t i = 3; i < 8; ++i) CHECK(adapted.steps[i].values().at("logprob_abs_diff_max") == 0);
    CHECK(adapted.steps[7].values().at("grad_norm") > 0);
    setup.interrupt = 5;
    setup.workers = 2;
    setup.colocate = true;
    CHECK(RunDemo(setup).adapter == adapted.adapter);
  }
  SECTION("another seed makes another model") {
    CHECK(RunDemo({.overrides = {"seed=2"}}).weights != base.weights);
  }
}

TEST_CASE("bf16 weights travel as what changed, to the bits of a worker in the learner's own",
          "[integration]") {
  if (!kernels::Cpu().has_bf16()) HONE_SKIP("this processor has no bf16 products");
  Setup setup{.overrides = {"model.precision=bf16", "stages.1.grpo.optimizer.learning_rate=1e-5",
                            "evaluations.0.every_steps=0"}};
  const Outcome sent = RunDemo(setup);
  REQUIRE(sent.run.state() == v1::RUN_STATE_SUCCEEDED);
  REQUIRE(sent.steps.size() == 115);
  for (size_t i = 110; i < 115; ++i) CHECK(sent.steps[i].values().at("logprob_abs_diff_max") == 0);
  CHECK(sent.steps[114].values().at("grad_norm") > 0);
  CHECK(sent.changes == 5);
  setup.colocate = true;
  const Outcome own = RunDemo(setup);
  CHECK(own.weights == sent.weights);
  CHECK(own.changes == 0);
}

TEST_CASE("an asynchronous run with bounded staleness ends, and says how stale it was",
          "[integration]") {
  const bool colocate = GENERATE(false, true);
  const Outcome out =
      RunDemo({.workers = 2, .colocate = colocate, .overrides = {"stages.1.grpo.max_staleness=2"}});
  REQUIRE(out.run.state() == v1::RUN_STATE_SUCCEEDED);
  for (size_t i = 110; i < out.steps.size(); ++i) {
    const auto& values = out.steps[i].values();
    CHECK(values.at("staleness_mean") <= 2);
    // What was generated wholly under the present version, in the learner's weights or in a copy.
    const auto difference = values.find("logprob_abs_diff_max");
    CHECK((difference == values.end() || difference->second == 0));
  }
  CHECK(out.copies <= (colocate ? 5 : 0));  // one for a step
}

TEST_CASE("documents, half of them with their middle at the end, are learnt from",
          "[integration]") {
  Setup setup{.overrides = {"stages.1.grpo.steps=1", "stages.1.grpo.optimizer.warmup_steps=0"}};
  // Sums without words, since this vocabulary cannot spell parts of words.
  for (int i = 0; i < 400; ++i) {
    const int a = i % 9, b = i / 9 % 9;
    setup.documents += "{\"prompt\": \"";
    for (int k = 0; k < 4; ++k)
      setup.documents +=
          std::to_string(a + k) + "+" + std::to_string(b) + "=" + std::to_string(a + b + k) + ". ";
    setup.documents += "\"}\n";
  }
  setup.change = [](v1::RunSpec& spec) {
    v1::PretrainStage stage;
    stage.set_prompt_set("countdown-documents");
    stage.set_steps(60);
    stage.set_batch_size(16);
    *stage.mutable_optimizer() = spec.stages(0).sft().optimizer();
    stage.mutable_fim()->set_rate(0.5);
    stage.mutable_fim()->set_begin("<pad>");
    stage.mutable_fim()->set_hole("<bos>");
    stage.mutable_fim()->set_end("<think>");
    *spec.mutable_stages(0)->mutable_pretrain() = stage;
  };
  const Outcome out = RunDemo(setup);
  INFO(out.run.message());
  REQUIRE(out.run.state() == v1::RUN_STATE_SUCCEEDED);
  REQUIRE(out.steps.size() == 61);
  CHECK(out.steps[59].values().at("loss") < 0.7 * out.steps[0].values().at("loss"));
}

TEST_CASE("a stage that misses its gate fails the run with the reason", "[integration]") {
  const Outcome out = RunDemo({.overrides = {"stages.0.sft.gate.min_pass_at_1=0.99"}});
  CHECK(out.run.state() == v1::RUN_STATE_FAILED);
  CHECK(out.run.message().find("did not pass its gate") != std::string::npos);
}

}  // namespace
}  // namespace hone
