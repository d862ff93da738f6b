#include "libs/buffer/evaluation_score.h"
#include "tests/buffer/world.h"

namespace hone::testing {
namespace {

absl::StatusOr<v1::Evaluation> Evaluate(World& w, int64_t step) {
  v1::EvaluateRequest r;
  r.set_run_id("r");
  r.set_name("test");
  r.set_step(step);
  return w.buffer().Evaluate(r);
}

TEST_CASE("An evaluation is due after every so many steps and goes before training", "[buffer]") {
  World w({.eval_every = 2});
  w.Begin();
  for (int64_t step = 1; step <= 2; ++step) {
    w.LeaseAndCommitAll("a", step - 1);
    REQUIRE_OK(w.Pull(step));
    REQUIRE_OK(w.Step(step));
  }
  std::vector<v1::Lease> leases = w.Lease("a", 2, 5);
  REQUIRE(leases.size() == 5);
  for (int i = 0; i < 4; ++i) {
    CHECK(leases[i].evaluation() == "test");
    CHECK(leases[i].exact_version() == 2);
    CHECK(leases[i].issue() == i);
    CHECK(leases[i].reward().scorers(0).name() == "contains");  // the set has a reward of its own
  }
  CHECK(leases[4].stage() == "main");
  CHECK(leases[4].reward().scorers(0).name() == "math");
  CHECK(leases[4].seed() != leases[0].seed());
  for (const v1::Lease& l : leases) {
    CHECK_FALSE(Evaluate(w, 2)->done());
    REQUIRE_OK(w.Commit("a", l, 2));
    if (GENERATE(false, true)) w.Kill();
    if (l.issue() == 3 && !l.evaluation().empty()) break;
  }
  const v1::Evaluation e = *Evaluate(w, 2);
  CHECK(e.done());
  CHECK(e.prompts_done() == 4);
  CHECK(e.pass_at_1() == 0.5);
  CHECK(e.pass_at_k() == 1);
  CHECK(e.majority_at_k() == 0.5);  // a tie of one right and one wrong answer
  CHECK(e.mean_reward() == 0.5);
  CHECK(e.mean_tokens() == 3);
  CHECK(e.format_rate() == 1);
  CHECK(e.note().empty());
  absl::StatusOr<v1::CommitGroupResponse> repeat = w.Commit("a", leases[0], 2);
  REQUIRE_OK(repeat);
  CHECK(repeat->duplicate());
  v1::ListGroupsRequest list;
  list.set_run_id("r");
  list.set_evaluation("test");
  CHECK(w.buffer().ListGroups(list)->groups_size() == 4);
}

TEST_CASE("All evaluations run after a stage's last step", "[buffer]") {
  World w({.steps = 1, .eval_every = 0});
  w.Begin();
  w.LeaseAndCommitAll("a", 0);
  REQUIRE_OK(w.Pull(1));
  REQUIRE_OK(w.Step(1));
  CHECK(w.Lease("a", 1).size() == 4);
}

TEST_CASE("An evaluation that no worker can serve any more is moved or closed", "[buffer]") {
  World w({.eval_every = 0});
  w.Begin();
  w.LeaseAndCommitAll("a", 0);
  REQUIRE_OK(w.Pull(1));
  REQUIRE_OK(w.Step(1));
  REQUIRE_OK(Evaluate(w, 1));
  w.clock.Advance(std::chrono::seconds(31));  // every worker would have been heard of
  REQUIRE_OK(w.buffer().Tick());
  SECTION("closed with what it has when some prompts are done") {
    std::vector<v1::Lease> leases = w.Lease("a", 1);
    REQUIRE_OK(w.Commit("a", leases[0], 1));
    v1::ReturnLeasesRequest back;
    back.set_worker_id("a");
    back.set_run_id("r");
    for (int i = 1; i < 4; ++i) back.add_lease_ids(leases[i].lease_id());
    REQUIRE_OK(w.buffer().ReturnLeases(back));
    for (size_t i = 4; i < leases.size(); ++i) REQUIRE_OK(w.Commit("a", leases[i], 1));
    REQUIRE_OK(w.Pull(2));
    REQUIRE_OK(w.Step(2));
    CHECK_FALSE(Evaluate(w, 1)->done());
    w.Lease("a", 2);
    const v1::Evaluation e = *Evaluate(w, 1);
    CHECK(e.done());
    CHECK(e.step() == 1);
    CHECK(e.prompts_done() == 1);
    CHECK(e.note() == "no worker could serve weights 1 any more");
  }
  SECTION("moved when none is done") {
    // Training goes on with a worker that does not ask for the evaluation's prompts.
    v1::ReturnLeasesRequest back;
    back.set_worker_id("a");
    back.set_run_id("r");
    for (const v1::Lease& l : w.Lease("a", 1)) {
      if (l.evaluation().empty())
        REQUIRE_OK(w.Commit("a", l, 1));
      else
        back.add_lease_ids(l.lease_id());
    }
    REQUIRE_OK(w.buffer().ReturnLeases(back));
    REQUIRE_OK(w.Pull(2));
    REQUIRE_OK(w.Step(2));
    std::vector<v1::Lease> leases = w.Lease("a", 2, 4);
    REQUIRE(leases.size() == 4);
    for (const v1::Lease& l : leases) {
      CHECK(l.evaluation() == "test");
      REQUIRE_OK(w.Commit("a", l, 2));
    }
    const v1::Evaluation e = *Evaluate(w, 1);
    CHECK(e.done());
    CHECK(e.step() == 2);
    CHECK(e.prompts_done() == 4);
    v1::ListEvaluationsRequest list;
    list.set_run_id("r");
    absl::StatusOr<v1::ListEvaluationsResponse> all = w.buffer().ListEvaluations(list);
    REQUIRE(all->evaluations_size() == 2);
    CHECK(all->evaluations(0).moved_to() == 2);
  }
}

TEST_CASE("The end of a run closes its evaluations", "[buffer]") {
  World w({.eval_every = 1});
  w.Begin();
  REQUIRE_OK(Evaluate(w, 0));
  REQUIRE_OK(w.Commit("a", w.Lease("a", 0, 1)[0], 0));
  REQUIRE_OK(w.buffer().CancelRun("r"));
  const v1::Evaluation e = *Evaluate(w, 0);
  CHECK(e.done());
  CHECK(e.prompts_done() == 1);
  CHECK(e.note() == "run cancelled");
}

TEST_CASE("The answer is what stands in the last answer tags", "[buffer]") {
  CHECK(AnswerOf("<answer>1</answer> no, <answer> 2 </answer> done") == "2");
  CHECK(AnswerOf(" plain 3\n") == "plain 3");
  CHECK(AnswerOf("<answer>4") == "<answer>4");
  CHECK(AnswerOf("</answer><answer>5</answer>") == "5");
}

TEST_CASE("Unscored completions stay out of the rates", "[buffer]") {
  v1::Group g;
  auto add = [&](v1::Outcome outcome, bool correct, const char* text) {
    v1::Completion& c = *g.add_completions();
    c.set_text(text);
    c.mutable_verdict()->set_outcome(outcome);
    c.mutable_verdict()->set_correct(correct);
    c.mutable_verdict()->set_score(correct);
  };
  add(v1::OUTCOME_SCORED, true, "<answer>7</answer>");
  add(v1::OUTCOME_SCORED, true, "so <answer>7</answer>");
  add(v1::OUTCOME_UNPARSED, false, "what");
  add(v1::OUTCOME_VERIFIER_UNAVAILABLE, false, "<answer>8</answer>");
  v1::Evaluation e;
  Aggregate({ScorePrompt(g)}, &e);
  CHECK(e.pass_at_1() == Approx(2.0 / 3));
  CHECK(e.majority_at_k() == 1);
  CHECK(e.format_rate() == Approx(2.0 / 3));
  CHECK(e.unscored() == 1);
  v1::Group nothing;
  v1::Completion& c = *nothing.add_completions();
  c.mutable_verdict()->set_outcome(v1::OUTCOME_TIMEOUT);
  Aggregate({ScorePrompt(g), ScorePrompt(nothing)}, &e);
  CHECK(e.pass_at_1() == Approx(2.0 / 3));  // a prompt that was never scored says nothing
  CHECK(e.unscored() == 2);
}

}  // namespace
}  // namespace hone::testing
