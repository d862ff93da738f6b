#include "tests/buffer/world.h"

#include "absl/strings/str_cat.h"

namespace hone::testing {

World::World(const Plan& p) : plan(p) {
  spec_.set_name("R");
  spec_.set_seed(7);
  v1::StageSpec& stage = *spec_.add_stages();
  stage.set_name("main");
  stage.mutable_grpo()->set_prompt_set("train");
  stage.mutable_grpo()->set_steps(p.steps);
  stage.mutable_grpo()->set_prompts_per_step(p.prompts_per_step);
  stage.mutable_grpo()->set_group_size(2);
  stage.mutable_grpo()->set_max_staleness(p.staleness);
  stage.mutable_grpo()->mutable_sampling()->set_max_new_tokens(8);
  spec_.mutable_reward()->add_scorers()->set_name("math");
  if (p.eval_every >= 0) {
    v1::PromptSetReward& own = *spec_.add_prompt_set_rewards();
    own.set_prompt_set("test");
    own.mutable_reward()->add_scorers()->set_name("contains");
    v1::EvaluationSpec& e = *spec_.add_evaluations();
    e.set_name("test");
    e.set_prompt_set("test");
    e.set_samples(2);
    e.set_every_steps(p.eval_every);
    e.set_max_prompts(4);
  }
  folders_.push_back(std::make_unique<TempDir>());
  Reopen();
  Upload("train", p.prompts);
  if (p.eval_every >= 0) Upload("test", 6);
  Create();
  Acquire();
}

BufferOptions World::Options() const {
  BufferOptions o;
  o.path = folders_.back()->path() + "/data";
  o.fsync = plan.fsync;
  o.lease_seconds = 30;
  o.max_attempts = plan.max_attempts;
  o.clock = &clock;
  return o;
}

void World::Reopen() {
  buffer_.reset();
  absl::StatusOr<std::unique_ptr<Buffer>> opened = Buffer::Open(Options());
  REQUIRE_OK(opened);
  buffer_ = *std::move(opened);
}

void World::Kill() {
  const std::string from = Options().path;
  folders_.push_back(std::make_unique<TempDir>());
  // The store deletes old files in the background: a file that vanishes while it is copied means
  // "copy again".
  std::error_code error;
  for (int attempt = 0; attempt < 20; ++attempt) {
    std::filesystem::remove_all(Options().path);
    error.clear();
    std::filesystem::copy(from, Options().path, std::filesystem::copy_options::recursive, error);
    if (!error) break;
  }
  REQUIRE_FALSE(error);
  killed_.push_back(std::move(buffer_));
  Reopen();
  // Only now, so that closing cannot have helped.
  killed_.clear();
  folders_.erase(folders_.begin());
}

void World::Upload(const std::string& set, int64_t prompts) {
  REQUIRE_OK(buffer().CreatePromptSet(set));
  std::string lines;
  for (int64_t i = 0; i < prompts; ++i)
    absl::StrAppend(&lines, "{\"id\": \"", set, "-", i, "\", \"prompt\": \"What is ", i,
                    " + 1?\", \"answer\": ", i + 1, "}\n");
  REQUIRE_OK(buffer().AppendPrompts(set, 0, lines));
  v1::SealPromptSetRequest seal;
  seal.set_id(set);
  REQUIRE_OK(buffer().SealPromptSet(seal));
}

void World::Create() {
  v1::CreateRunRequest request;
  request.set_run_id("r");
  *request.mutable_spec() = spec_;
  REQUIRE_OK(buffer().CreateRun(request));
}

v1::Run World::Run() {
  absl::StatusOr<v1::Run> run = buffer().GetRun("r");
  REQUIRE_OK(run);
  return *run;
}

std::map<std::string, int64_t> World::Counts() {
  absl::StatusOr<v1::GetClusterStatusResponse> status = buffer().GetClusterStatus();
  REQUIRE_OK(status);
  std::map<std::string, int64_t> counts;
  for (const auto& q : status->queues())
    if (q.stage() == "main") counts = {q.issues().begin(), q.issues().end()};
  return counts;
}

std::vector<v1::Issue> World::Issues(v1::IssueState state) {
  v1::ListIssuesRequest request;
  request.set_run_id("r");
  request.set_stage("main");
  request.set_state(state);
  request.set_page_size(1000);
  absl::StatusOr<v1::ListIssuesResponse> response = buffer().ListIssues(request);
  REQUIRE_OK(response);
  return {response->issues().begin(), response->issues().end()};
}

std::vector<v1::Lease> World::Lease(const std::string& worker, int64_t version, int max,
                                    uint64_t incarnation, bool ahead) {
  v1::LeasePromptsRequest request;
  request.set_ahead(ahead);
  request.set_worker_id(worker);
  request.set_incarnation(incarnation);
  request.set_run_id("r");
  request.set_weights_version(version);
  request.set_max_groups(max);
  bool settled = false;
  absl::StatusOr<v1::LeasePromptsResponse> response = buffer().LeasePrompts(request, &settled);
  REQUIRE_OK(response);
  return {response->leases().begin(), response->leases().end()};
}

v1::Group World::Answer(const v1::Lease& lease, int64_t version, int flavour) {
  v1::Group g;
  g.set_run_id(lease.run_id());
  g.set_stage(lease.stage());
  g.set_issue(lease.issue());
  g.set_prompt_id(lease.prompt().id());
  g.set_epoch(lease.epoch());
  g.add_prompt_token_ids(static_cast<int>(lease.issue()) + 1);
  *g.mutable_sampling() = lease.sampling();
  g.set_seed(lease.seed());
  g.set_weights_version(version);
  for (int i = 0; i < lease.group_size(); ++i) {
    v1::Completion& c = *g.add_completions();
    c.set_sample_index(i);
    for (int t = 0; t < 3; ++t) {
      c.add_token_ids(static_cast<int>(lease.issue()) * 100 + i * 10 + t + flavour);
      c.add_logprobs(-0.5f * static_cast<float>(t));
    }
    v1::VersionRun& v = *c.add_versions();
    v.set_version(version);
    v.set_tokens(3);
    c.set_finish_reason(v1::FINISH_REASON_STOP_TOKEN);
    c.set_text(absl::StrCat("<answer>", i, "</answer>"));
    c.mutable_verdict()->set_outcome(v1::OUTCOME_SCORED);
    c.mutable_verdict()->set_correct(i == 0);
    c.mutable_verdict()->set_score(i == 0 ? 1 : 0);
  }
  return g;
}

absl::StatusOr<v1::CommitGroupResponse> World::Commit(const std::string& worker,
                                                      const v1::Lease& lease, int64_t version,
                                                      int flavour) {
  v1::CommitGroupRequest request;
  request.set_worker_id(worker);
  request.set_lease_id(lease.lease_id());
  request.set_evaluation(lease.evaluation());
  *request.mutable_group() = Answer(lease, version, flavour);
  return buffer().CommitGroup(request);
}

void World::LeaseAndCommitAll(const std::string& worker, int64_t version) {
  for (const v1::Lease& lease : Lease(worker, version)) REQUIRE_OK(Commit(worker, lease, version));
}

void World::Acquire(uint64_t incarnation) {
  v1::AcquireRunRequest request;
  request.set_learner_id("learner");
  request.set_incarnation(incarnation);
  request.set_weights_address("learner:1");
  absl::StatusOr<v1::AcquireRunResponse> response = buffer().AcquireRun(request);
  REQUIRE_OK(response);
  REQUIRE(response->run_id() == "r");
}

absl::Status World::TryBegin(int64_t first_step) {
  v1::BeginStageRequest request;
  request.set_run_id("r");
  request.set_stage("main");
  request.set_first_step(first_step);
  return buffer().BeginStage(request);
}

absl::StatusOr<v1::StoredBatch> World::Pull(int64_t step) {
  v1::PullBatchRequest request;
  request.set_run_id("r");
  request.set_stage("main");
  request.set_stage_step(step);
  request.set_step(step);
  return buffer().PullBatch(request);
}

absl::StatusOr<v1::RunState> World::Step(int64_t step, uint64_t digest) {
  v1::CommitStepRequest request;
  request.set_run_id("r");
  request.mutable_metrics()->set_step(step);
  request.mutable_metrics()->set_stage("main");
  request.mutable_metrics()->set_stage_step(step);
  (*request.mutable_metrics()->mutable_values())["loss"] = static_cast<double>(step);
  request.set_digest(digest == 0 ? static_cast<uint64_t>(step) * 1000 : digest);
  return buffer().CommitStep(request);
}

absl::Status World::Checkpoint(int64_t step) {
  v1::CommitCheckpointRequest request;
  request.set_run_id("r");
  request.set_step(step);
  request.set_path(absl::StrCat("/checkpoints/step-", step));
  return buffer().CommitCheckpoint(request);
}

absl::Status World::End(bool succeeded) {
  v1::EndStageRequest request;
  request.set_run_id("r");
  request.set_stage("main");
  request.set_succeeded(succeeded);
  return buffer().EndStage(request);
}

}  // namespace hone::testing
