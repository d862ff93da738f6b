#include <thread>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "libs/rpc/server.h"
#include "libs/rpc/status.h"
#include "services/coordinator/coordinator_service.h"
#include "services/coordinator/metrics.h"
#include "services/coordinator/prompt_set_service.h"
#include "services/coordinator/run_service.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A coordinator and stubs to it.
struct Cluster {
  explicit Cluster(bool fsync = true) {
    BufferOptions options;
    options.path = dir.path();
    options.fsync = fsync;
    buffer = *Buffer::Open(options);
    buffer->OnChange([this](Topics t) { polls.Notify(t); });
    coordinator_service = std::make_unique<CoordinatorService>(*buffer, polls);
    run_service = std::make_unique<RunService>(*buffer, polls, "test");
    prompt_service = std::make_unique<PromptSetService>(*buffer);
    rpc::ServerOptions server_options;
    server_options.listen = "127.0.0.1:0";
    absl::StatusOr<std::unique_ptr<rpc::Server>> started = rpc::Server::Start(
        server_options, {coordinator_service.get(), run_service.get(), prompt_service.get()});
    REQUIRE_OK(started);
    server = *std::move(started);
    auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server->port()),
                                       grpc::InsecureChannelCredentials());
    coordinator = v1::CoordinatorService::NewStub(channel);
    runs = v1::RunService::NewStub(channel);
    prompts = v1::PromptSetService::NewStub(channel);
  }
  ~Cluster() {
    polls.Stop();
    server->Shutdown(seconds(2));
  }

  TempDir dir;
  LongPolls polls;
  std::unique_ptr<Buffer> buffer;
  std::unique_ptr<CoordinatorService> coordinator_service;
  std::unique_ptr<RunService> run_service;
  std::unique_ptr<PromptSetService> prompt_service;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<v1::CoordinatorService::Stub> coordinator;
  std::unique_ptr<v1::RunService::Stub> runs;
  std::unique_ptr<v1::PromptSetService::Stub> prompts;
};

// One unary call with a deadline that fails a test instead of hanging it.
template <typename Stub, typename Request, typename Response>
absl::Status Call(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  return rpc::FromGrpc((stub.*method)(&context, request, response));
}

absl::Status Upload(Cluster& c, const std::string& id, int64_t offset,
                    const std::vector<std::string>& chunks, v1::PromptSet* set = nullptr) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  v1::UploadPromptsResponse response;
  auto writer = c.prompts->UploadPrompts(&context, &response);
  bool first = true;
  for (const std::string& chunk : chunks) {
    v1::UploadPromptsRequest request;
    if (first) {
      request.set_prompt_set_id(id);
      request.set_offset(offset);
    }
    first = false;
    request.set_lines(chunk);
    if (!writer->Write(request)) break;
  }
  writer->WritesDone();
  const grpc::Status s = writer->Finish();
  if (set != nullptr) *set = response.prompt_set();
  return rpc::FromGrpc(s);
}

v1::RunSpec Spec() {
  v1::RunSpec spec;
  spec.set_name("demo");
  spec.set_seed(3);
  spec.mutable_model()->set_path("/models/toy");
  spec.mutable_checkpoint()->set_path("/checkpoints");
  spec.mutable_reward()->add_scorers()->set_name("math");
  v1::StageSpec& stage = *spec.add_stages();
  stage.set_name("main");
  v1::GrpoStage& grpo = *stage.mutable_grpo();
  grpo.set_prompt_set("train");
  grpo.set_steps(3);
  grpo.set_prompts_per_step(2);
  grpo.set_group_size(2);
  grpo.mutable_sampling()->set_temperature(1);
  grpo.mutable_sampling()->set_max_new_tokens(8);
  grpo.mutable_optimizer()->set_learning_rate(1e-4);
  return spec;
}

void Prepare(Cluster& c) {
  v1::CreatePromptSetRequest create;
  create.set_id("train");
  v1::CreatePromptSetResponse created;
  REQUIRE_OK(Call(*c.prompts, &v1::PromptSetService::Stub::CreatePromptSet, create, &created));
  REQUIRE_OK(
      Upload(c, "train", 0, {"{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n", "{\"prompt\":\"c\"}\n"}));
  v1::SealPromptSetRequest seal;
  seal.set_id("train");
  v1::SealPromptSetResponse sealed;
  REQUIRE_OK(Call(*c.prompts, &v1::PromptSetService::Stub::SealPromptSet, seal, &sealed));
  v1::CreateRunRequest run;
  *run.mutable_spec() = Spec();
  v1::CreateRunResponse response;
  REQUIRE_OK(Call(*c.runs, &v1::RunService::Stub::CreateRun, run, &response));
  REQUIRE(response.run().id() == "demo");
}

v1::AcquireRunResponse Acquire(Cluster& c) {
  v1::AcquireRunRequest request;
  request.set_learner_id("l");
  request.set_incarnation(1);
  request.set_weights_address("l:1");
  v1::AcquireRunResponse response;
  REQUIRE_OK(Call(*c.coordinator, &v1::CoordinatorService::Stub::AcquireRun, request, &response));
  return response;
}

void Begin(Cluster& c) {
  v1::BeginStageRequest request;
  request.set_run_id("demo");
  request.set_stage("main");
  v1::BeginStageResponse response;
  REQUIRE_OK(Call(*c.coordinator, &v1::CoordinatorService::Stub::BeginStage, request, &response));
}

v1::LeasePromptsResponse Lease(Cluster& c, int64_t version, Duration wait) {
  v1::LeasePromptsRequest request;
  request.set_worker_id("w");
  request.set_incarnation(1);
  request.set_run_id("demo");
  request.set_weights_version(version);
  request.set_max_groups(10);
  request.mutable_wait()->set_seconds(std::chrono::duration_cast<seconds>(wait).count());
  v1::LeasePromptsResponse response;
  REQUIRE_OK(Call(*c.coordinator, &v1::CoordinatorService::Stub::LeasePrompts, request, &response));
  return response;
}

void Commit(Cluster& c, const v1::Lease& lease) {
  v1::CommitGroupRequest request;
  request.set_worker_id("w");
  v1::Group& g = *request.mutable_group();
  g.set_run_id(lease.run_id());
  g.set_stage(lease.stage());
  g.set_issue(lease.issue());
  g.set_prompt_id(lease.prompt().id());
  g.set_seed(lease.seed());
  g.set_weights_version(lease.exact_version());
  g.add_prompt_token_ids(1);
  for (int i = 0; i < lease.group_size(); ++i) g.add_completions()->set_sample_index(i);
  v1::CommitGroupResponse response;
  REQUIRE_OK(Call(*c.coordinator, &v1::CoordinatorService::Stub::CommitGroup, request, &response));
}

absl::Status Pull(Cluster& c, int64_t step, int64_t wait_seconds, std::vector<int64_t>* issues) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  v1::PullBatchRequest request;
  request.set_run_id("demo");
  request.set_stage("main");
  request.set_stage_step(step);
  request.set_step(step);
  request.mutable_wait()->set_seconds(wait_seconds);
  auto reader = c.coordinator->PullBatch(&context, request);
  v1::PullBatchResponse response;
  while (reader->Read(&response))
    for (const v1::Group& g : response.groups()) issues->push_back(g.issue());
  return rpc::FromGrpc(reader->Finish());
}

v1::CommitStepResponse Step(Cluster& c, int64_t step) {
  v1::CommitStepRequest request;
  request.set_run_id("demo");
  request.mutable_metrics()->set_step(step);
  request.mutable_metrics()->set_stage("main");
  request.mutable_metrics()->set_stage_step(step);
  v1::CommitStepResponse response;
  REQUIRE_OK(Call(*c.coordinator, &v1::CoordinatorService::Stub::CommitStep, request, &response));
  return response;
}

TEST_CASE("A run over the wire, watched from beginning to end", "[coordinator]") {
  Cluster c;
  Prepare(c);
  std::vector<int64_t> steps_seen;
  std::vector<v1::RunState> states;
  grpc::Status watched;
  std::thread watcher([&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(30));
    v1::WatchRunRequest request;
    request.set_run_id("demo");
    auto reader = c.runs->WatchRun(&context, request);
    v1::WatchRunResponse response;
    while (reader->Read(&response)) {
      for (const v1::StepMetrics& m : response.steps()) steps_seen.push_back(m.step());
      states.push_back(response.run().state());
    }
    watched = reader->Finish();
  });
  CHECK(Acquire(c).spec().stages(0).grpo().updates_per_step() == 1);  // defaults are filled in
  Begin(c);
  for (int64_t step = 1; step <= 3; ++step) {
    const v1::LeasePromptsResponse leased = Lease(c, step - 1, seconds(10));
    for (const v1::Lease& lease : leased.leases()) Commit(c, lease);
    std::vector<int64_t> issues;
    REQUIRE_OK(Pull(c, step, 10, &issues));
    CHECK(issues == std::vector<int64_t>{2 * step - 2, 2 * step - 1});
    CHECK(Step(c, step).state() == v1::RUN_STATE_RUNNING);
  }
  v1::CommitCheckpointRequest checkpoint;
  checkpoint.set_run_id("demo");
  checkpoint.set_step(3);
  checkpoint.set_path("/checkpoints/step-3");
  v1::CommitCheckpointResponse covered;
  REQUIRE_OK(
      Call(*c.coordinator, &v1::CoordinatorService::Stub::CommitCheckpoint, checkpoint, &covered));
  v1::EndStageRequest end;
  end.set_run_id("demo");
  end.set_stage("main");
  end.set_succeeded(true);
  v1::EndStageResponse ended;
  REQUIRE_OK(Call(*c.coordinator, &v1::CoordinatorService::Stub::EndStage, end, &ended));
  watcher.join();
  CHECK(watched.ok());
  CHECK(steps_seen == std::vector<int64_t>{1, 2, 3});
  REQUIRE_FALSE(states.empty());
  CHECK(states.back() == v1::RUN_STATE_SUCCEEDED);
}

TEST_CASE("The groups of a step come to the learner as they are committed", "[coordinator]") {
  Cluster c;
  Prepare(c);
  Acquire(c);
  Begin(c);
  const v1::LeasePromptsResponse leased = Lease(c, 0, seconds(10));
  REQUIRE(leased.leases_size() == 2);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  v1::PullBatchRequest request;
  request.set_run_id("demo");
  request.set_stage("main");
  request.set_stage_step(1);
  request.set_step(1);
  request.mutable_wait()->set_seconds(10);
  auto reader = c.coordinator->PullBatch(&context, request);
  v1::PullBatchResponse response;
  for (const int i : {1, 0}) {  // the other way round
    Commit(c, leased.leases(i));
    REQUIRE(reader->Read(&response));
    REQUIRE(response.groups_size() == 1);
    CHECK(response.groups(0).issue() == i);
  }
  CHECK_FALSE(reader->Read(&response));
  CHECK(reader->Finish().ok());
}

TEST_CASE("Waiting calls wake at once", "[coordinator]") {
  Cluster c(/*fsync=*/false);
  Prepare(c);
  using Clock = std::chrono::steady_clock;
  Acquire(c);
  Clock::time_point leased;
  std::vector<v1::Lease> leases;
  std::thread worker([&] {
    const v1::LeasePromptsResponse r = Lease(c, 0, seconds(15));
    leased = Clock::now();
    leases = {r.leases().begin(), r.leases().end()};
  });
  while (c.polls.waiting() == 0) std::this_thread::yield();
  const Clock::time_point begun = Clock::now();
  Begin(c);
  worker.join();
  REQUIRE(leases.size() == 2);
  CHECK(leased - begun < seconds(2));

  Clock::time_point pulled;
  std::vector<int64_t> issues;
  absl::Status status;
  std::thread learner([&] {
    status = Pull(c, 1, 15, &issues);
    pulled = Clock::now();
  });
  Commit(c, leases[0]);
  while (c.polls.waiting() == 0) std::this_thread::yield();
  const Clock::time_point committed = Clock::now();
  Commit(c, leases[1]);
  learner.join();
  REQUIRE_OK(status);
  CHECK(issues.size() == 2);
  CHECK(pulled - committed < seconds(2));
}

TEST_CASE("A batch that is not ready says so after its wait", "[coordinator]") {
  Cluster c;
  Prepare(c);
  Acquire(c);
  Begin(c);
  std::vector<int64_t> issues;
  const absl::Status s = Pull(c, 1, 0, &issues);
  CHECK_CODE(s, absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(s.message()), Catch::Matchers::Contains("is not ready: 0 of 2 groups"));
}

TEST_CASE("A caller that hangs up is leased nothing", "[coordinator]") {
  Cluster c(/*fsync=*/false);
  Prepare(c);
  Acquire(c);
  {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + milliseconds(50));
    v1::LeasePromptsRequest request;
    request.set_worker_id("gone");
    request.set_incarnation(1);
    request.set_run_id("demo");
    request.set_max_groups(10);
    request.mutable_wait()->set_seconds(15);
    v1::LeasePromptsResponse response;
    CHECK(c.coordinator->LeasePrompts(&context, request, &response).error_code() ==
          grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  std::this_thread::sleep_for(milliseconds(200));
  Begin(c);
  CHECK(Lease(c, 0, seconds(10)).leases_size() == 2);
}

TEST_CASE("Errors arrive with their codes and fields", "[coordinator]") {
  Cluster c;
  Prepare(c);
  v1::CreatePromptSetRequest create;
  create.set_id("open");
  v1::CreatePromptSetResponse created;
  REQUIRE_OK(Call(*c.prompts, &v1::PromptSetService::Stub::CreatePromptSet, create, &created));
  const absl::Status bad =
      Upload(c, "open", 0, {"{\"prompt\":\"a\"}\n", "{\"prompt\":\"b\"}\n{}\n"});
  CHECK_CODE(bad, absl::StatusCode::kInvalidArgument);
  const rpc::FieldViolations lines = rpc::FieldViolationsOf(bad);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].first == "line 3");
  v1::PromptSet set;
  REQUIRE_OK(Upload(c, "open", 15, {"{\"prompt\":\"b\"}\n"}, &set));  // the first chunk was kept
  CHECK(set.prompts() == 2);

  v1::CreateRunRequest run;
  *run.mutable_spec() = Spec();
  run.mutable_spec()->mutable_stages(0)->mutable_grpo()->set_group_size(1);
  v1::CreateRunResponse response;
  const absl::Status wrong = Call(*c.runs, &v1::RunService::Stub::CreateRun, run, &response);
  CHECK_CODE(wrong, absl::StatusCode::kInvalidArgument);
  REQUIRE(rpc::FieldViolationsOf(wrong).size() == 1);
  CHECK(rpc::FieldViolationsOf(wrong)[0].first == "stages[0].grpo.group_size");
}

TEST_CASE("Prompts are read back from any place", "[coordinator]") {
  Cluster c;
  Prepare(c);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  v1::ReadPromptsRequest request;
  request.set_prompt_set_id("train");
  request.set_start(1);
  auto reader = c.prompts->ReadPrompts(&context, request);
  std::vector<std::string> texts;
  v1::ReadPromptsResponse response;
  while (reader->Read(&response))
    for (const v1::Prompt& p : response.prompts()) texts.push_back(p.text());
  CHECK(reader->Finish().ok());
  CHECK(texts == std::vector<std::string>{"b", "c"});
}

TEST_CASE("Metrics show the queue while the run lives", "[coordinator]") {
  Cluster c;
  Prepare(c);
  Acquire(c);
  Begin(c);
  Lease(c, 0, seconds(0));
  Metrics metrics;
  const std::vector<Metrics::Callback> exported = ExportCoordinator(metrics, *c.buffer, c.polls);
  CHECK_THAT(metrics.Render(),
             Catch::Matchers::Contains(
                 "hone_coordinator_issues{run=\"demo\",stage=\"main\",state=\"leased\"} 2"));
  CHECK_THAT(metrics.Render(), Catch::Matchers::Contains("hone_coordinator_leases_total 2"));
  REQUIRE_OK(c.buffer->CancelRun("demo"));
  CHECK_THAT(metrics.Render(), !Catch::Matchers::Contains("run=\"demo\""));
}

}  // namespace
}  // namespace hone::testing
