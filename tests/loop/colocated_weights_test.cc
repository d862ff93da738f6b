// A worker that reads the weights of the learner in its process, and gives them back: alone, and in
// a rollout loop whose coordinator and learner are the test.

#include "libs/loop/colocated_weights.h"

#include <ctime>
#include <future>

#include "libs/base/status.h"
#include "libs/loop/model_folder.h"
#include "libs/loop/rollout_loop.h"
#include "libs/model/lora.h"
#include "libs/reward/demo_model.h"
#include "libs/train/trainer.h"
#include "libs/weights/snapshot.h"
#include "tests/loop/scripted_cluster.h"

namespace hone {
namespace {

using testing::MakeLease;
using testing::ScriptedCluster;

void WaitFor(const std::function<bool()>& condition) {
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
  std::shared_ptr<Weights> Copy() const {
    auto copy = std::make_shared<Weights>(transformer->layout(), trainer->weights());
    CopyTrained(Device(*folder.table, 1), trainer->weights(), *copy);
    return copy;
  }
  // What an engine by itself makes of a lease.
  std::vector<v1::Completion> Generate(std::shared_ptr<const Weights> weights,
                                       const v1::Lease& lease) const {
    std::vector<v1::Completion> out(static_cast<size_t>(lease.group_size()));
    Engine engine(*transformer, folder.tokenizer.get(),
                  {.dtype = folder.dtype, .vocab = folder.vocab},
                  [&](const GroupRequest&, v1::Completion c) {
                    out[static_cast<size_t>(c.sample_index())] = std::move(c);
                  });
    engine.SetWeights(std::move(weights), 0, InFlight::kKeep);
    REQUIRE_OK(engine.Submit({.prompt = EncodePrompt(folder, lease.prompt())->ids,
                              .group_size = lease.group_size(),
                              .sampling = lease.sampling(),
                              .seed = lease.seed(),
                              .issue = lease.issue()}));
    while (engine.Step()) {
    }
    return out;
  }

  ModelFolder folder;
  ColocatedWeights& colocated;
  const std::string run;
  std::unique_ptr<Transformer> transformer;
  std::unique_ptr<Trainer> trainer;
};

// All tokens of a version, with the bits of their logprobs.
void CheckGroup(const v1::Group& got, int64_t version, const std::vector<v1::Completion>& want) {
  REQUIRE(got.completions_size() == static_cast<int>(want.size()));
  for (int i = 0; i < got.completions_size(); ++i) {
    const v1::Completion& c = got.completions(i);
    const v1::Completion& w = want[static_cast<size_t>(i)];
    INFO("sample " << i);
    REQUIRE(c.versions_size() == 1);
    CHECK(c.versions(0).version() == version);
    CHECK(std::equal(c.token_ids().begin(), c.token_ids().end(), w.token_ids().begin(),
                     w.token_ids().end()));
    CHECK(std::equal(c.logprobs().begin(), c.logprobs().end(), w.logprobs().begin(),
                     w.logprobs().end()));
  }
}

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
  testing::TempDir dir;
  v1::ModelSpec model;
  Metrics metrics;
  Counter copies;
  Elsewhere elsewhere;
  std::unique_ptr<ColocatedWeights> colocated;
  std::atomic<int> arrivals{0};
};

TEST_CASE_METHOD(Fixture, "the worker is given the learner's own weights, and a copy if need be",
                 "[loop]") {
  if (GENERATE(false, true)) {
    model.mutable_lora()->set_rank(2);
    model.mutable_lora()->set_alpha(4);
    model.mutable_lora()->add_targets(LoraConfig::kAllLinear);
  }
  Learner learner(model, 1, *colocated);
  const Weights& own = learner.trainer->weights();
  learner.Recall();  // nothing was published
  Follow(learner);
  CHECK(colocated->Take().weights == nullptr);
  learner.Publish(0);
  CHECK(arrivals == 1);
  const WeightsSource::Arrival first = colocated->Take();
  CHECK(first.weights.get() == &own);
  CHECK(first.version == 0);
  CHECK(colocated->Take().weights == nullptr);
  CHECK_FALSE(colocated->Recalled());
  const Learner other(model, 2, *colocated);
  colocated->Recall(other.trainer->weights());  // nobody has those

  std::shared_ptr<const Weights> held;
  const Weights* memory = nullptr;
  for (const int64_t version : {1, 2, 3}) {
    const bool needed = version > 1;
    const uint64_t digest = WeightsDigest(own);
    std::future<void> step = std::async(std::launch::async, [&] {
      learner.Step();
      learner.Publish(version);
    });
    WaitFor([&] { return colocated->Recalled(); });
    CHECK(step.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
    held = nullptr;  // as an engine that took the version since
    held = colocated->GiveBack(needed);
    step.get();
    CHECK_FALSE(colocated->Recalled());
    CHECK(WeightsDigest(own) != digest);
    REQUIRE((held != nullptr) == needed);
    if (needed) {
      CHECK(held.get() != &own);
      CHECK(WeightsDigest(*held) == digest);
      if (memory != nullptr) CHECK(held.get() == memory);  // used again
      memory = held.get();
      CHECK((held->parameters.data() == own.parameters.data()) ==
            learner.transformer->layout().adapted());  // frozen: lies there once
    }
    const WeightsSource::Arrival next = colocated->Take();
    CHECK(next.weights.get() == &own);
    CHECK(next.version == version);
  }
  CHECK(copies.Value() == 2);
  CHECK(elsewhere.published == std::vector<int64_t>{0, 1, 2, 3});
}

TEST_CASE_METHOD(Fixture, "a learner whose weights nobody reads does not wait", "[loop]") {
  Learner learner(model, 1, *colocated);
  Follow(learner);
  learner.Publish(0);
  SECTION("not taken: what is being changed is not given away") {
    learner.Recall();
    CHECK(colocated->Take().weights == nullptr);
    learner.Publish(0);  // as a learner that began again and made it once more
    CHECK(colocated->Take().version == 0);
  }
  SECTION("the worker leaves, follows another learner, or follows anew while it waits") {
    REQUIRE(colocated->Take().weights != nullptr);
    std::future<void> recall = std::async(std::launch::async, [&] { learner.Recall(); });
    WaitFor([&] { return colocated->Recalled(); });
    const int way = GENERATE(0, 1, 2);
    if (way == 0) colocated->Unfollow();
    if (way == 1) Follow(learner, "elsewhere");
    if (way == 2) Follow(learner);
    recall.get();
    CHECK(elsewhere.following == (way == 1));
    CHECK(colocated->Take().weights == nullptr);
    learner.Publish(1);
    CHECK((colocated->Take().weights != nullptr) == (way == 2));
  }
  SECTION("published again unchanged: still read") {
    REQUIRE(colocated->Take().weights != nullptr);
    learner.Publish(1);  // a step without an update
    std::future<void> recall = std::async(std::launch::async, [&] { learner.Recall(); });
    WaitFor([&] { return colocated->Recalled(); });
    CHECK(recall.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
    CHECK(colocated->GiveBack(/*needed=*/false) == nullptr);
    recall.get();
  }
  CHECK(copies.Value() == 0);
}

TEST_CASE_METHOD(Fixture, "weights of a run that has ended are read as long as they are held",
                 "[loop]") {
  auto first = std::make_unique<Learner>(model, 1, *colocated);
  const uint64_t digest = WeightsDigest(first->trainer->weights());
  Follow(*first);
  first->Publish(7);
  const WeightsSource::Arrival held = colocated->Take();
  first.reset();
  Learner second(model, 2, *colocated, GENERATE(as<std::string>(), "r", "s"));
  second.Publish(8);
  second.Step();  // waits for nobody
  CHECK(WeightsDigest(*held.weights) == digest);
  CHECK_FALSE(colocated->Recalled());
}

// A rollout loop in the learner's process.
struct Colocated : Fixture {
  Colocated() { cluster.Assign("r", model); }
  ~Colocated() {
    if (thread.joinable()) End();
  }
  void Begin(Duration patience = std::chrono::seconds(60), InFlight in_flight = InFlight::kKeep) {
    loop = std::make_unique<RolloutLoop>(
        RolloutLoop::Options{
            .worker_id = "w", .incarnation = 1, .in_flight = in_flight, .patience = patience},
        cluster, cluster, cluster, *colocated, nullptr);
    thread = std::thread([this] { status = loop->Run(); });
  }
  void End() {
    cluster.Open();
    loop->Stop(/*drain=*/false);
    cluster.Stop();
    thread.join();
    CHECK_OK(status);
  }
  v1::Group Committed(int64_t lease_id) {
    WaitFor([&] { return cluster.Committed(lease_id).has_value(); });
    return *cluster.Committed(lease_id);
  }
  ScriptedCluster cluster;
  std::unique_ptr<RolloutLoop> loop;
  absl::Status status;
  std::thread thread;
};

TEST_CASE_METHOD(Colocated, "a worker that rests gives the weights back and nothing is copied",
                 "[loop]") {
  Begin();
  Learner learner(model, 1, *colocated);
  for (int64_t version = 0; version < 4; ++version) {
    learner.Publish(version);
    const v1::Lease lease = MakeLease(version + 1, version);
    cluster.Add(lease);
    CheckGroup(Committed(lease.lease_id()), version, learner.Generate(learner.Copy(), lease));
    learner.Step();
  }
  CHECK(copies.Value() == 0);
}

TEST_CASE_METHOD(Colocated, "a worker that pins a version keeps it in one copy", "[loop]") {
  Begin(std::chrono::seconds(60), GENERATE(InFlight::kKeep, InFlight::kAbort));
  Learner learner(model, 1, *colocated);
  const v1::Lease pinned = MakeLease(1, 0);
  const std::vector<v1::Completion> want = learner.Generate(learner.Copy(), pinned);
  cluster.Close();  // the worker comes to a halt as its first completion ends
  learner.Publish(0);
  cluster.Add(pinned);
  WaitFor([&] { return cluster.waiting_verdicts() == 1; });
  std::future<void> step = std::async(std::launch::async, [&] {
    learner.Step();
    learner.Publish(1);
  });
  WaitFor([&] { return colocated->Recalled(); });
  CHECK(step.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  cluster.Pass();
  step.get();
  CHECK(copies.Value() == 1);
  WaitFor([&] { return cluster.waiting_verdicts() == 1; });
  learner.Step();  // the worker, at a halt again, reads its copy
  learner.Publish(2);
  cluster.Open();
  CheckGroup(Committed(1), 0, want);
  CHECK(copies.Value() == 1);
  const v1::Lease next = MakeLease(2, 2);
  cluster.Add(next);
  CheckGroup(Committed(2), 2, learner.Generate(learner.Copy(), next));
}

TEST_CASE_METHOD(Colocated, "what comes for weights that are given back waits for the next version",
                 "[loop]") {
  Begin();
  Learner learner(model, 1, *colocated);
  learner.Publish(0);
  const v1::Lease first = MakeLease(1, 0), late = MakeLease(2, 0), any = MakeLease(3, -1);
  cluster.Add(first);
  Committed(1);
  WaitFor([&] { return cluster.lease_calls() == 2; });
  learner.Recall();
  cluster.Add(late);
  cluster.Add(any);
  const std::vector<int32_t> tokens = {5, 6, 7, 8};
  int64_t version = -1;
  std::future<absl::StatusOr<std::vector<float>>> score =
      std::async(std::launch::async, [&] { return loop->Score(tokens, 1.0f, &version); });
  std::promise<v1::Completion> generated;
  std::future<absl::Status> generate = std::async(std::launch::async, [&] {
    GroupRequest request{.prompt = tokens};
    request.sampling.set_max_new_tokens(3);
    return loop->Generate(request, "",
                          [&](v1::Completion c) { generated.set_value(std::move(c)); });
  });
  const std::clock_t cpu = std::clock();
  CHECK(score.wait_for(std::chrono::milliseconds(300)) == std::future_status::timeout);
  CHECK(std::clock() - cpu < CLOCKS_PER_SEC / 10);  // nobody turns in circles
  CHECK(cluster.lease_calls() == 2);
  CHECK(generate.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  CHECK(cluster.Returned().empty());
  CHECK_FALSE(cluster.Committed(3).has_value());

  learner.Step();
  learner.Publish(1);
  REQUIRE_OK(score.get());
  CHECK(version == 1);
  CHECK_OK(generate.get());
  CHECK(generated.get_future().get().versions(0).version() == 1);
  CheckGroup(Committed(3), 1, learner.Generate(learner.Copy(), any));
  CHECK(cluster.Returned() == std::vector<int64_t>{2});  // others may have that version
  CHECK(copies.Value() == 0);
}

TEST_CASE_METHOD(Colocated, "visitors are sent away when the learner keeps the weights", "[loop]") {
  Begin(/*patience=*/std::chrono::milliseconds(30));
  Learner learner(model, 1, *colocated);
  learner.Publish(0);
  int64_t version = -1;
  WaitFor([&] { return loop->stats().weights_version == 0; });
  CHECK_OK(loop->Score({5, 6, 7}, 1.0f, &version));
  learner.Recall();
  CHECK_CODE(loop->Score({5, 6, 7}, 1.0f, &version), absl::StatusCode::kFailedPrecondition);
  learner.Publish(1);
  WaitFor([&] { return loop->stats().weights_version == 1; });
  CHECK_OK(loop->Score({5, 6, 7}, 1.0f, &version));
  CHECK(version == 1);
}

TEST_CASE_METHOD(Colocated, "a worker that is stopped lets a waiting learner go", "[loop]") {
  Begin();
  Learner learner(model, 1, *colocated);
  learner.Publish(0);
  cluster.Close();
  cluster.Add(MakeLease(1, 0));
  WaitFor([&] { return cluster.waiting_verdicts() == 1; });
  std::future<void> step = std::async(std::launch::async, [&] { learner.Step(); });
  WaitFor([&] { return colocated->Recalled(); });
  loop->Stop(/*drain=*/false);
  cluster.Pass();
  step.get();
  End();
  learner.Step();
  CHECK(copies.Value() <= 1);
}

TEST_CASE_METHOD(Colocated, "a worker that drains hands back what waits for weights", "[loop]") {
  Begin();
  Learner learner(model, 1, *colocated);
  learner.Publish(0);
  WaitFor([&] { return loop->stats().weights_version == 0 && cluster.lease_calls() > 0; });
  learner.Recall();
  cluster.Add(MakeLease(1, -1));
  WaitFor([&] { return cluster.leases() == 0; });
  loop->Stop(/*drain=*/true);
  thread.join();
  CHECK_OK(status);
  CHECK(cluster.Returned() == std::vector<int64_t>{1});
}

TEST_CASE_METHOD(Colocated, "the next run of the same process has weights of its own", "[loop]") {
  Begin();
  auto learner = std::make_unique<Learner>(model, 1, *colocated);
  learner->Publish(5);
  const v1::Lease last = MakeLease(1, 5), first = MakeLease(2, 0);
  cluster.Add(last);
  Committed(1);
  int64_t version = -1;
  const auto before = loop->Score({5, 6, 7}, 1.0f, &version);
  learner.reset();  // the worker has not heard of it yet
  const auto after = loop->Score({5, 6, 7}, 1.0f, &version);
  REQUIRE_OK(after);
  CHECK(*after == *before);
  Learner next(model, 2, *colocated, "s");
  next.Publish(0);
  next.Step();
  next.Publish(1);
  CHECK(version == 5);
  cluster.Assign("s", model);
  const v1::Lease lease = MakeLease(2, 1);
  cluster.Add(lease);
  CheckGroup(Committed(2), 1, next.Generate(next.Copy(), lease));
  CHECK(copies.Value() == 0);
}

}  // namespace
}  // namespace hone
