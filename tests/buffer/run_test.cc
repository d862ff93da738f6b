#include "tests/buffer/world.h"

namespace hone::testing {
namespace {

TEST_CASE("A restarted learner pulls the same groups again and its steps are compared",
          "[buffer]") {
  World w;
  w.Begin();
  std::vector<std::string> first;
  for (int64_t step = 1; step <= 3; ++step) {
    w.LeaseAndCommitAll("a", step - 1);
    absl::StatusOr<v1::StoredBatch> batch = w.Pull(step);
    REQUIRE_OK(batch);
    for (const int64_t n : batch->issues())
      first.push_back(w.buffer().ReadGroup(StageQueue("r", "main"), n)->SerializeAsString());
    if (step < 3) REQUIRE_OK(w.Step(step));
    if (step == 1) REQUIRE_OK(w.Checkpoint(1));
  }
  if (GENERATE(false, true)) w.Kill();
  w.Acquire(/*incarnation=*/2);
  CHECK(w.Run().checkpoint_step() == 1);
  REQUIRE_OK(w.TryBegin(0));
  CHECK_CODE(w.TryBegin(1), absl::StatusCode::kFailedPrecondition);
  std::vector<std::string> again;
  for (int64_t step = 1; step <= 3; ++step) {
    absl::StatusOr<v1::StoredBatch> batch = w.Pull(step);
    REQUIRE_OK(batch);
    for (const int64_t n : batch->issues())
      again.push_back(w.buffer().ReadGroup(StageQueue("r", "main"), n)->SerializeAsString());
    REQUIRE_OK(w.Step(step));
  }
  CHECK(first == again);
  CHECK_CODE(w.Step(2, /*digest=*/5), absl::StatusCode::kDataLoss);
  CHECK(w.Run().step() == 3);
}

TEST_CASE("Steps come in order and only for pulled batches", "[buffer]") {
  World w;
  CHECK_CODE(w.Pull(1), absl::StatusCode::kFailedPrecondition);  // not begun
  w.Begin();
  w.LeaseAndCommitAll("a", 0);
  CHECK_CODE(w.Step(1), absl::StatusCode::kFailedPrecondition);
  CHECK_CODE(w.Pull(2), absl::StatusCode::kFailedPrecondition);
  CHECK_CODE(w.Pull(0), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(w.Pull(5), absl::StatusCode::kInvalidArgument);
  REQUIRE_OK(w.Pull(1));
  CHECK_CODE(w.Step(2), absl::StatusCode::kFailedPrecondition);
  REQUIRE_OK(w.Step(1));
  CHECK_CODE(w.Checkpoint(2), absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A paused run leases nothing and goes on after resume", "[buffer]") {
  World w;
  w.Begin();
  const std::vector<v1::Lease> before = w.Lease("a", 0, 1);
  REQUIRE_OK(w.buffer().PauseRun("r"));
  CHECK(w.Lease("b", 0).empty());
  REQUIRE_OK(w.Commit("a", before[0], 0));
  REQUIRE_OK(w.buffer().ResumeRun("r"));
  CHECK(w.Lease("b", 0).size() == 2);
}

TEST_CASE("A cancelled run drops what is open, says why, and refuses everything else", "[buffer]") {
  World w;
  w.Begin();
  const std::vector<v1::Lease> leases = w.Lease("a", 0);
  REQUIRE_OK(w.Commit("a", leases[0], 0));
  REQUIRE_OK(w.buffer().CancelRun("r"));
  REQUIRE_OK(w.buffer().CancelRun("r"));
  CHECK(w.Run().state() == v1::RUN_STATE_CANCELLED);
  CHECK(w.Issues(v1::ISSUE_STATE_DROPPED).size() == 3);
  CHECK(w.Issues()[1].reason() == "run cancelled");
  CHECK_CODE(w.Commit("a", leases[1], 0), absl::StatusCode::kFailedPrecondition);
  CHECK_CODE(w.Pull(1), absl::StatusCode::kAborted);
  absl::StatusOr<v1::RunState> state = w.Step(1);
  REQUIRE_OK(state);
  CHECK(*state == v1::RUN_STATE_CANCELLED);
  CHECK_CODE(w.buffer().ResumeRun("r"), absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A run is given to one learner at a time", "[buffer]") {
  World w;
  v1::AcquireRunRequest other;
  other.set_learner_id("other");
  other.set_incarnation(9);
  CHECK(w.buffer().AcquireRun(other)->run_id().empty());
  w.clock.Advance(std::chrono::seconds(200));
  CHECK_CODE(w.Pull(1), absl::StatusCode::kFailedPrecondition);  // not begun, but a sign of life
  w.clock.Advance(std::chrono::seconds(200));
  REQUIRE_OK(w.buffer().Tick());
  CHECK(w.buffer().AcquireRun(other)->run_id().empty());
  w.clock.Advance(std::chrono::seconds(301));
  REQUIRE_OK(w.buffer().Tick());
  CHECK(w.buffer().AcquireRun(other)->run_id() == "r");
  v1::BeginStageRequest begin;
  begin.set_run_id("r");
  begin.set_stage("main");
  begin.set_incarnation(1);
  CHECK_CODE(w.buffer().BeginStage(begin), absl::StatusCode::kAborted);
  begin.set_incarnation(9);
  REQUIRE_OK(w.buffer().BeginStage(begin));
}

TEST_CASE("CreateRun is idempotent and checks what it needs", "[buffer]") {
  World w;
  v1::CreateRunRequest r;
  r.set_run_id("r");
  *r.mutable_spec() = w.spec();
  REQUIRE_OK(w.buffer().CreateRun(r));
  r.mutable_spec()->set_seed(8);
  CHECK_CODE(w.buffer().CreateRun(r), absl::StatusCode::kAlreadyExists);
  r.set_run_id("");
  absl::StatusOr<v1::Run> named = w.buffer().CreateRun(r);  // "r" is taken by another spec
  REQUIRE_OK(named);
  CHECK(named->id() == "r-2");
  CHECK(w.buffer().CreateRun(r)->id() == "r-2");
  r.set_run_id("No Id");
  CHECK_CODE(w.buffer().CreateRun(r), absl::StatusCode::kInvalidArgument);
  r.set_run_id("v");
  r.set_validate_only(true);
  REQUIRE_OK(w.buffer().CreateRun(r));
  CHECK_CODE(w.buffer().GetRun("v"), absl::StatusCode::kNotFound);
  r.mutable_spec()->mutable_stages(0)->mutable_grpo()->set_prompt_set("absent");
  CHECK_CODE(w.buffer().CreateRun(r), absl::StatusCode::kFailedPrecondition);
  REQUIRE_OK(w.buffer().CreatePromptSet("open"));
  r.mutable_spec()->mutable_stages(0)->mutable_grpo()->set_prompt_set("open");
  CHECK_CODE(w.buffer().CreateRun(r), absl::StatusCode::kFailedPrecondition);
  r.mutable_spec()->mutable_stages(0)->mutable_grpo()->set_prompts_per_step(0);
  CHECK_CODE(w.buffer().CreateRun(r), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Lists come in pages", "[buffer]") {
  World w;
  w.Begin();
  for (int64_t step = 1; step <= 4; ++step) {
    w.LeaseAndCommitAll("a", step - 1);
    REQUIRE_OK(w.Pull(step));
    REQUIRE_OK(w.Step(step));
  }
  SECTION("issues") {
    v1::ListIssuesRequest r;
    r.set_run_id("r");
    r.set_page_size(5);
    if (GENERATE(false, true)) r.set_state(v1::ISSUE_STATE_TRAINED);
    std::vector<int64_t> seen;
    int pages = 0;
    do {
      absl::StatusOr<v1::ListIssuesResponse> page = w.buffer().ListIssues(r);
      REQUIRE_OK(page);
      for (const v1::Issue& i : page->issues()) seen.push_back(i.issue());
      r.set_page_token(page->next_page_token());
      REQUIRE(++pages <= 3);
    } while (!r.page_token().empty());
    CHECK(pages == 3);
    REQUIRE(seen.size() == 12);
    for (int64_t i = 0; i < 12; ++i) CHECK(seen[i] == i);
    r.set_page_token("nonsense");
    CHECK_CODE(w.buffer().ListIssues(r), absl::StatusCode::kInvalidArgument);
  }
  SECTION("groups, newest first") {
    v1::ListGroupsRequest r;
    r.set_run_id("r");
    r.set_page_size(7);
    absl::StatusOr<v1::ListGroupsResponse> page = w.buffer().ListGroups(r);
    REQUIRE_OK(page);
    REQUIRE(page->groups_size() == 7);
    CHECK(page->groups(0).issue() == 11);
    r.set_page_token(page->next_page_token());
    page = w.buffer().ListGroups(r);
    REQUIRE_OK(page);
    REQUIRE(page->groups_size() == 5);
    CHECK(page->groups(0).issue() == 4);
    CHECK(page->next_page_token().empty());
    r.set_page_token("");
    r.set_step(2);
    page = w.buffer().ListGroups(r);
    REQUIRE(page->groups_size() == 3);
    CHECK(page->groups(2).issue() == 3);
  }
  SECTION("step metrics") {
    v1::ListStepMetricsRequest r;
    r.set_run_id("r");
    r.set_page_size(3);
    absl::StatusOr<v1::ListStepMetricsResponse> page = w.buffer().ListStepMetrics(r);
    REQUIRE_OK(page);
    REQUIRE(page->steps_size() == 3);
    CHECK(page->next_after_step() == 3);
    r.set_after_step(3);
    page = w.buffer().ListStepMetrics(r);
    REQUIRE(page->steps_size() == 1);
    CHECK(page->steps(0).values().at("loss") == 4);
    CHECK(page->next_after_step() == 0);
  }
}

}  // namespace
}  // namespace hone::testing
