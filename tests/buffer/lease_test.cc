#include <set>

#include "tests/buffer/world.h"

namespace hone::testing {
namespace {

std::vector<int64_t> Numbers(const std::vector<v1::Lease>& leases) {
  std::vector<int64_t> n;
  for (const v1::Lease& l : leases) n.push_back(l.issue());
  return n;
}

TEST_CASE("A synchronous run goes from lease to covered", "[buffer]") {
  World w;
  w.Begin();
  for (int64_t step = 1; step <= 4; ++step) {
    CHECK_CODE(w.Pull(step), absl::StatusCode::kUnavailable);
    std::vector<v1::Lease> leases = w.Lease("a", step - 1);
    REQUIRE(Numbers(leases) ==
            std::vector<int64_t>{(step - 1) * 3, (step - 1) * 3 + 1, (step - 1) * 3 + 2});
    CHECK(leases[0].exact_version() == step - 1);
    CHECK(leases[0].group_size() == 2);
    CHECK(leases[0].prompt().answer() != "");
    CHECK(w.Lease("b", step - 1).empty());
    for (const v1::Lease& l : leases) REQUIRE_OK(w.Commit("a", l, step - 1));
    absl::StatusOr<v1::StoredBatch> batch = w.Pull(step);
    REQUIRE_OK(batch);
    CHECK(batch->issues_size() == 3);
    CHECK(batch->issues(0) == (step - 1) * 3);
    REQUIRE_OK(w.Step(step));
    CHECK(w.Counts()["trained"] == step * 3);
  }
  CHECK(w.Lease("a", 4).empty());
  REQUIRE_OK(w.Checkpoint(2));
  CHECK(w.Counts()["covered"] == 6);
  CHECK(w.Counts()["trained"] == 6);
  CHECK_CODE(w.End(true), absl::StatusCode::kFailedPrecondition);
  REQUIRE_OK(w.Checkpoint(4));
  REQUIRE_OK(w.End(true));
  CHECK(w.Run().state() == v1::RUN_STATE_SUCCEEDED);
  REQUIRE_OK(w.End(true));
}

TEST_CASE("Every epoch has every prompt once, in another order, the same after a restart",
          "[buffer]") {
  World w({.prompts = 6, .steps = 2, .prompts_per_step = 6});
  w.Begin();
  std::vector<std::string> first;
  for (const v1::Lease& l : w.Lease("a", 0)) {
    first.push_back(l.prompt().id());
    CHECK(l.epoch() == 0);
    REQUIRE_OK(w.Commit("a", l, 0));
  }
  REQUIRE_OK(w.Pull(1));
  REQUIRE_OK(w.Step(1));
  std::vector<std::string> second;
  for (const v1::Lease& l : w.Lease("a", 1)) {
    second.push_back(l.prompt().id());
    CHECK(l.epoch() == 1);
  }
  CHECK(std::set<std::string>(first.begin(), first.end()).size() == 6);
  CHECK(std::set<std::string>(second.begin(), second.end()).size() == 6);
  CHECK(first != second);

  World again({.prompts = 6, .steps = 2, .prompts_per_step = 6});
  again.Begin();
  std::vector<std::string> repeated;
  for (const v1::Lease& l : again.Lease("z", 0)) repeated.push_back(l.prompt().id());
  CHECK(repeated == first);
}

TEST_CASE("The leases of a silent worker are leased again", "[buffer]") {
  World w;
  w.Begin();
  std::vector<v1::Lease> lost = w.Lease("a", 0, 2);
  w.clock.Advance(std::chrono::seconds(29));
  REQUIRE_OK(w.buffer().Tick());
  CHECK(Numbers(w.Lease("b", 0)) == std::vector<int64_t>{2});
  w.clock.Advance(std::chrono::seconds(2));
  REQUIRE_OK(w.buffer().Tick());
  CHECK(w.Counts()["ready"] == 2);
  std::vector<v1::Lease> again = w.Lease("b", 0);
  REQUIRE(Numbers(again) == std::vector<int64_t>{0, 1});
  CHECK(again[0].prompt().id() == lost[0].prompt().id());
  CHECK(again[0].seed() == lost[0].seed());
  CHECK(again[0].lease_id() != lost[0].lease_id());

  SECTION("The slow worker's group still counts when it is first") {
    REQUIRE_OK(w.Commit("a", lost[0], 0));
    absl::StatusOr<v1::CommitGroupResponse> second = w.Commit("b", again[0], 0);
    REQUIRE_OK(second);
    CHECK(second->duplicate());
  }
  SECTION("History says what happened") {
    const v1::Issue issue = w.Issues(v1::ISSUE_STATE_LEASED)[0];
    CHECK(issue.attempts() == 2);
    REQUIRE(issue.history_size() == 3);
    CHECK(issue.history(1).state() == v1::ISSUE_STATE_READY);
    CHECK(issue.history(1).detail() == "worker a is silent");
  }
}

TEST_CASE("The next step's prompts are leased ahead, in equal shares, for the next version",
          "[buffer]") {
  World w({.steps = 2, .prompts_per_step = 4});
  w.Begin();
  const auto ahead = [&](const std::string& worker) { return w.Lease(worker, 0, 100, 1, true); };
  const std::vector<v1::Lease> now = ahead("a");
  CHECK(Numbers(now) == std::vector<int64_t>{0, 1, 2, 3});  // this step's first, and alone
  CHECK(Numbers(w.Lease("b", 0)).empty());                  // only to those who ask
  std::vector<v1::Lease> next = ahead("a");
  CHECK(Numbers(next) == std::vector<int64_t>{4, 5});
  CHECK(next[0].exact_version() == 1);
  CHECK(ahead("a").empty());
  const std::vector<v1::Lease> others = ahead("b");
  CHECK(Numbers(others) == std::vector<int64_t>{6, 7});
  CHECK(ahead("b").empty());

  SECTION("They keep no batch waiting, and are committed under their own version") {
    CHECK_CODE(w.Pull(1), absl::StatusCode::kUnavailable);
    for (const v1::Lease& l : now) REQUIRE_OK(w.Commit("a", l, 0));
    absl::StatusOr<v1::StoredBatch> batch = w.Pull(1);
    REQUIRE_OK(batch);
    CHECK(batch->issues_size() == 4);
    CHECK_CODE(w.Commit("a", next[0], 0), absl::StatusCode::kInvalidArgument);
    REQUIRE_OK(w.Step(1));
    CHECK(w.Lease("a", 1, 100, 1, true).empty());  // the run has no third step
    for (const v1::Lease& l : next) REQUIRE_OK(w.Commit("a", l, 1));
    CHECK_CODE(w.Pull(2), absl::StatusCode::kUnavailable);
    for (const v1::Lease& l : others) REQUIRE_OK(w.Commit("b", l, 1));
    batch = w.Pull(2);
    REQUIRE_OK(batch);
    CHECK(batch->issues(0) == 4);
    CHECK(batch->issues_size() == 4);
  }
  SECTION("A lost one stays the next step's") {
    v1::ReturnLeasesRequest back;
    back.set_worker_id("b");
    back.set_run_id("r");
    back.add_lease_ids(others[0].lease_id());
    REQUIRE_OK(w.buffer().ReturnLeases(back));
    CHECK(w.Lease("a", 0).empty());
    for (const v1::Lease& l : now) REQUIRE_OK(w.Commit("a", l, 0));
    REQUIRE_OK(w.Pull(1));
    REQUIRE_OK(w.Step(1));
    const std::vector<v1::Lease> again = w.Lease("a", 1);
    REQUIRE(Numbers(again) == std::vector<int64_t>{6});
    CHECK(again[0].exact_version() == 1);
  }
}

TEST_CASE("A heartbeat keeps leases; a restart of the coordinator does too", "[buffer]") {
  World w;
  w.Begin();
  w.Lease("a", 0);
  v1::RegisterWorkerRequest beat;
  beat.set_worker_id("a");
  beat.set_incarnation(1);
  for (int i = 0; i < 5; ++i) {
    w.clock.Advance(std::chrono::seconds(20));
    absl::StatusOr<v1::RegisterWorkerResponse> r = w.buffer().RegisterWorker(beat);
    REQUIRE_OK(r);
    CHECK(r->run_id() == "r");
    CHECK(r->weights_address() == "learner:1");
    REQUIRE_OK(w.buffer().Tick());
  }
  CHECK(w.Counts()["leased"] == 3);
  w.Kill();
  w.clock.Advance(std::chrono::seconds(20));
  REQUIRE_OK(w.buffer().Tick());
  CHECK(w.Counts()["leased"] == 3);
  w.clock.Advance(std::chrono::seconds(20));
  REQUIRE_OK(w.buffer().Tick());
  CHECK(w.Counts()["leased"] == 0);
}

TEST_CASE("A new incarnation gives the old one's leases back at once, and the old one is refused",
          "[buffer]") {
  World w;
  w.Begin();
  w.Lease("a", 0, 2, /*incarnation=*/1);
  if (GENERATE(false, true)) w.Kill();
  CHECK(w.Lease("a", 0, 100, /*incarnation=*/2).size() == 3);
  v1::LeasePromptsRequest old;
  old.set_worker_id("a");
  old.set_incarnation(1);
  old.set_run_id("r");
  old.set_max_groups(1);
  bool settled = false;
  CHECK_CODE(w.buffer().LeasePrompts(old, &settled), absl::StatusCode::kAborted);
  w.Kill();
  CHECK_CODE(w.buffer().LeasePrompts(old, &settled), absl::StatusCode::kAborted);
}

TEST_CASE("Commits are idempotent and other bits are refused", "[buffer]") {
  World w;
  w.Begin();
  const v1::Lease lease = w.Lease("a", 0)[0];
  absl::StatusOr<v1::CommitGroupResponse> first = w.Commit("a", lease, 0);
  REQUIRE_OK(first);
  CHECK_FALSE(first->duplicate());
  if (GENERATE(false, true)) w.Kill();
  absl::StatusOr<v1::CommitGroupResponse> second = w.Commit("b", lease, 0);
  REQUIRE_OK(second);
  CHECK(second->duplicate());
  CHECK_CODE(w.Commit("b", lease, 0, /*flavour=*/1), absl::StatusCode::kAborted);
  CHECK(w.buffer().counters().conflicts == 1);
  CHECK(w.Counts()["committed"] == 1);
}

TEST_CASE("A group that does not fit its lease is refused", "[buffer]") {
  World w;
  w.Begin();
  const v1::Lease lease = w.Lease("a", 0)[0];
  v1::CommitGroupRequest r;
  r.set_worker_id("a");
  *r.mutable_group() = World::Answer(lease, 0);
  v1::Group& g = *r.mutable_group();
  absl::StatusCode want = absl::StatusCode::kInvalidArgument;
  SECTION("no completion") {
    g.clear_completions();
  }
  SECTION("a completion too few") {
    g.mutable_completions()->RemoveLast();
  }
  SECTION("another prompt") {
    g.set_prompt_id("train-999");
  }
  SECTION("logprobs missing") {
    g.mutable_completions(1)->mutable_logprobs()->RemoveLast();
  }
  SECTION("kept mass of another length") {
    g.mutable_completions(1)->add_kept_mass(1);
  }
  SECTION("samples out of order") {
    g.mutable_completions(1)->set_sample_index(0);
  }
  SECTION("versions do not cover") {
    g.mutable_completions(0)->clear_versions();
  }
  SECTION("other weights") {
    g.mutable_completions(0)->mutable_versions(0)->set_version(1);
  }
  SECTION("other weights on the whole") {
    g.set_weights_version(1);
  }
  SECTION("no prompt") {
    g.clear_prompt_token_ids();
  }
  SECTION("other noise") {
    g.set_seed(1);
  }
  SECTION("never leased") {
    g.set_issue(99);
    want = absl::StatusCode::kNotFound;
  }
  SECTION("no such stage") {
    g.set_stage("other");
    want = absl::StatusCode::kNotFound;
  }
  SECTION("no such run") {
    g.set_run_id("x");
    want = absl::StatusCode::kNotFound;
  }
  CHECK_CODE(w.buffer().CommitGroup(r), want);
  CHECK(w.Counts()["committed"] == 0);
  REQUIRE_OK(w.Commit("a", lease, 0));
}

TEST_CASE("Returned leases are leased again; dropped ones never, and the batch is smaller",
          "[buffer]") {
  World w;
  w.Begin();
  std::vector<v1::Lease> leases = w.Lease("a", 0);
  v1::ReturnLeasesRequest back;
  back.set_worker_id("a");
  back.set_run_id("r");
  back.add_lease_ids(leases[1].lease_id());
  back.add_lease_ids(123456);
  back.set_reason("draining");
  REQUIRE_OK(w.buffer().ReturnLeases(back));
  std::vector<v1::Lease> again = w.Lease("b", 0);
  REQUIRE(Numbers(again) == std::vector<int64_t>{1});
  back.set_worker_id("b");
  back.set_lease_ids(0, again[0].lease_id());
  back.set_reason("prompt is longer than the context");
  back.set_drop(true);
  REQUIRE_OK(w.buffer().ReturnLeases(back));
  CHECK(w.Lease("b", 0).empty());
  REQUIRE_OK(w.Commit("a", leases[0], 0));
  REQUIRE_OK(w.Commit("a", leases[2], 0));
  absl::StatusOr<v1::StoredBatch> batch = w.Pull(1);
  REQUIRE_OK(batch);
  CHECK(batch->issues_size() == 2);
  REQUIRE(batch->dropped_size() == 1);
  CHECK(batch->dropped(0) == 1);
  CHECK(w.Issues(v1::ISSUE_STATE_DROPPED)[0].reason() == "prompt is longer than the context");
  CHECK_CODE(w.Commit("b", again[0], 0), absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A lease call whose answer was lost may be repeated", "[buffer]") {
  World w;
  w.Begin();
  v1::LeasePromptsRequest r;
  r.set_worker_id("a");
  r.set_incarnation(1);
  r.set_run_id("r");
  r.set_max_groups(2);
  r.set_request_id(77);
  bool settled = false;
  absl::StatusOr<v1::LeasePromptsResponse> first = w.buffer().LeasePrompts(r, &settled);
  REQUIRE_OK(first);
  REQUIRE(first->leases_size() == 2);
  if (GENERATE(false, true)) w.Kill();
  absl::StatusOr<v1::LeasePromptsResponse> repeat = w.buffer().LeasePrompts(r, &settled);
  REQUIRE_OK(repeat);
  CHECK(repeat->SerializeAsString() == first->SerializeAsString());
  r.set_request_id(78);
  CHECK(w.buffer().LeasePrompts(r, &settled)->leases_size() == 1);
  CHECK(w.Counts()["leased"] == 3);
}

TEST_CASE("A prompt that loses too many leases is dropped when that is asked for", "[buffer]") {
  World w({.max_attempts = 2});
  w.Begin();
  for (int i = 0; i < 2; ++i) {
    CHECK(w.Lease("a", 0).size() == 3);
    w.clock.Advance(std::chrono::seconds(31));
    REQUIRE_OK(w.buffer().Tick());
  }
  CHECK(w.Counts()["dropped"] == 3);
  absl::StatusOr<v1::StoredBatch> batch = w.Pull(1);
  REQUIRE_OK(batch);
  CHECK(batch->dropped_size() == 3);
}

TEST_CASE("A worker with older weights is told to swap, with newer ones to wait", "[buffer]") {
  World w;
  w.Begin();
  v1::LeasePromptsRequest r;
  r.set_worker_id("b");
  r.set_incarnation(1);
  r.set_run_id("r");
  r.set_max_groups(1);
  w.LeaseAndCommitAll("a", 0);
  bool settled = true;
  absl::StatusOr<v1::LeasePromptsResponse> response = w.buffer().LeasePrompts(r, &settled);
  REQUIRE_OK(response);
  CHECK(response->awaiting_weights());
  CHECK_FALSE(settled);  // a lost lease could still come back
  REQUIRE_OK(w.Pull(1));
  REQUIRE_OK(w.Step(1));
  response = w.buffer().LeasePrompts(r, &settled);
  REQUIRE_OK(response);
  CHECK(response->leases().empty());
  CHECK(response->awaiting_weights());
  CHECK(settled);
  CHECK(w.Lease("b", 1).size() == 3);
}

TEST_CASE("Bounded staleness leases ahead, drops what is too old and makes up for it", "[buffer]") {
  World w({.steps = 6, .prompts_per_step = 2, .staleness = 1});
  w.Begin();
  std::vector<v1::Lease> ahead = w.Lease("a", 0);
  REQUIRE(ahead.size() == 4);  // two steps' worth
  CHECK(ahead[0].exact_version() == -1);
  // The two oldest are slow.
  REQUIRE_OK(w.Commit("a", ahead[2], 0));
  REQUIRE_OK(w.Commit("a", ahead[3], 0));
  absl::StatusOr<v1::StoredBatch> first = w.Pull(1);
  REQUIRE_OK(first);
  CHECK(first->issues(0) == 2);
  REQUIRE_OK(w.Step(1));
  std::vector<v1::Lease> next = w.Lease("b", 1);
  REQUIRE(next.size() == 2);
  for (const v1::Lease& l : next) REQUIRE_OK(w.Commit("b", l, 1));
  REQUIRE_OK(w.Pull(2));
  REQUIRE_OK(w.Step(2));
  // Step 3 takes weights of version 1 and later: version 0 is too old.
  CHECK(w.Lease("c", 0).empty());
  REQUIRE_OK(w.Commit("a", ahead[0], 0));
  REQUIRE_OK(w.Commit("a", ahead[1], 0));
  CHECK_CODE(w.Pull(3), absl::StatusCode::kUnavailable);
  CHECK(w.Counts()["dropped"] == 2);
  CHECK(w.Issues(v1::ISSUE_STATE_DROPPED)[0].reason() == "stale");
  std::vector<v1::Lease> more = w.Lease("b", 2);
  REQUIRE(more.size() == 4);
  for (const v1::Lease& l : more) REQUIRE_OK(w.Commit("b", l, 2));
  for (int64_t step = 3; step <= 6; ++step) {
    w.LeaseAndCommitAll("b", step - 1);
    REQUIRE_OK(w.Pull(step));
    REQUIRE_OK(w.Step(step));
  }
  CHECK(w.Counts()["trained"] == 12);
  CHECK(w.Lease("b", 6).empty());
}

}  // namespace
}  // namespace hone::testing
