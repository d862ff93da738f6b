// A rollout loop that reads the weights of the learner in its process and gives them back. Its
// coordinator and the learner are the test.

#include <ctime>
#include <future>

#include "libs/loop/rollout_loop.h"
#include "tests/loop/colocated.h"
#include "tests/loop/scripted_cluster.h"

namespace hone {
namespace {

using testing::Learner;
using testing::MakeLease;
using testing::ScriptedCluster;
using testing::WaitFor;

// What an engine by itself makes of a lease under the present weights.
std::vector<v1::Completion> Generate(const Learner& learner, const v1::Lease& lease) {
  std::vector<v1::Completion> out(static_cast<size_t>(lease.group_size()));
  Engine engine(*learner.transformer, learner.folder.tokenizer.get(),
                {.dtype = learner.folder.dtype, .vocab = learner.folder.vocab},
                [&](const GroupRequest&, v1::Completion c) {
                  out[static_cast<size_t>(c.sample_index())] = std::move(c);
                });
  engine.SetWeights(learner.trainer->shared_weights(), 0, InFlight::kKeep);
  REQUIRE_OK(engine.Submit({.prompt = EncodePrompt(learner.folder, lease.prompt())->ids,
                            .group_size = lease.group_size(),
                            .sampling = lease.sampling(),
                            .seed = lease.seed(),
                            .issue = lease.issue()}));
  while (engine.Step()) {
  }
  return out;
}

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

// A rollout loop in the learner's process.
struct Colocated : testing::Fixture {
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
    CheckGroup(Committed(lease.lease_id()), version, Generate(learner, lease));
    learner.Step();
  }
  CHECK(copies.Value() == 0);
}

TEST_CASE_METHOD(Colocated, "a worker that pins a version keeps it in one copy", "[loop]") {
  Begin(std::chrono::seconds(60), GENERATE(InFlight::kKeep, InFlight::kAbort));
  Learner learner(model, 1, *colocated);
  const v1::Lease pinned = MakeLease(1, 0);
  const std::vector<v1::Completion> want = Generate(learner, pinned);
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
  CheckGroup(Committed(2), 2, Generate(learner, next));
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
  CheckGroup(Committed(3), 1, Generate(learner, any));
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
  CheckGroup(Committed(2), 1, Generate(next, lease));
  CHECK(copies.Value() == 0);
}

}  // namespace
}  // namespace hone
