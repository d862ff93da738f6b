// Random interleavings of everybody's calls with kills of the coordinator, of workers and of the
// learner: no prompt is lost, none is trained twice, and what a step trained on does not depend on
// any of it.

#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/buffer/world.h"

namespace hone::testing {
namespace {

// What the tests know from outside.
struct Trained {
  std::map<int64_t, std::vector<std::string>> groups;  // by step
};

// Every record agrees with every other, and with the counters.
void CheckAccounts(World& w) {
  std::map<std::string, int64_t> counts = w.Counts();
  int64_t total = 0;
  for (int s = 1; s < v1::IssueState_ARRAYSIZE; ++s) {
    const auto state = static_cast<v1::IssueState>(s);
    std::string name = ShortName(state);
    for (char& c : name) c = static_cast<char>(tolower(c));
    const std::vector<v1::Issue> listed = w.Issues(state);
    REQUIRE(static_cast<int64_t>(listed.size()) == counts[name]);
    for (const v1::Issue& i : listed) {
      REQUIRE(i.state() == state);
      REQUIRE(i.history(i.history_size() - 1).state() == state);
    }
    total += counts[name];
  }
  const std::vector<v1::Issue> all = w.Issues();
  REQUIRE(static_cast<int64_t>(all.size()) == total);
  for (int64_t n = 0; n < total; ++n) REQUIRE(all[n].issue() == n);
}

Trained Play(uint32_t seed, const World::Plan& plan, bool disturbed) {
  std::mt19937 random(seed);
  auto chance = [&](int percent) {
    return disturbed && static_cast<int>(random() % 100) < percent;
  };
  World w(plan);
  w.Begin();
  Trained trained;
  struct Held {
    v1::Lease lease;
    int64_t version;
  };
  std::map<std::string, std::vector<Held>> hands;
  std::map<std::string, uint64_t> incarnations;
  int64_t learner_at = 0;  // last step that the learner has done in this life
  uint64_t learner_life = 1;
  for (int turn = 0; turn < 4000 && learner_at < plan.steps; ++turn) {
    const std::string worker = absl::StrCat("w", disturbed ? random() % 3 : 0);
    uint64_t& incarnation = incarnations[worker];
    if (incarnation == 0) incarnation = 1;
    std::vector<Held>& hand = hands[worker];
    const int64_t version = w.Run().step();
    const bool lag = version > 0 && chance(10);
    if (!disturbed || random() % 2 == 0)
      for (const v1::Lease& l : w.Lease(worker, version - lag, 2, incarnation))
        hand.push_back({l, version - lag});
    while (!hand.empty() && !chance(40)) {
      const Held held = hand.back();
      hand.pop_back();
      if (chance(5)) continue;  // lost on the way; the lease must expire
      const absl::Status s = StatusOf(w.Commit(worker, held.lease, held.version));
      // Another made the group meanwhile, and then it got too old.
      if (plan.staleness > 0 && absl::IsFailedPrecondition(s)) continue;
      REQUIRE(s.ToString() == "OK");
      if (chance(10)) REQUIRE(w.Commit(worker, held.lease, held.version)->duplicate());
    }
    if (chance(5)) {  // the worker is killed
      hand.clear();
      ++incarnation;
    }
    if (chance(10)) {
      w.clock.Advance(std::chrono::seconds(31));
      REQUIRE_OK(w.buffer().Tick());
    }
    if (chance(8)) w.Kill();
    if (chance(4)) {  // the learner is killed and starts from its checkpoint
      learner_at = std::max<int64_t>(0, w.Run().checkpoint_step());
      w.Acquire(++learner_life);
      REQUIRE_OK(w.TryBegin(0));
    }
    absl::StatusOr<v1::StoredBatch> batch = w.Pull(learner_at + 1);
    if (!batch.ok()) {
      REQUIRE(batch.status().code() == absl::StatusCode::kUnavailable);
      continue;
    }
    std::vector<std::string> bits;
    for (const int64_t n : batch->issues()) {
      v1::Group g = *w.buffer().ReadGroup(StageQueue("r", "main"), n);
      REQUIRE(g.issue() == n);
      bits.push_back(g.SerializeAsString());
    }
    REQUIRE(static_cast<int>(bits.size()) == plan.prompts_per_step);
    if (auto seen = trained.groups.find(learner_at + 1); seen != trained.groups.end())
      REQUIRE(seen->second == bits);
    trained.groups[learner_at + 1] = bits;
    if (chance(10)) continue;  // killed between the pull and the commit, say
    REQUIRE_OK(w.Step(++learner_at));
    if (chance(10)) REQUIRE_OK(w.Step(learner_at));
    if (!disturbed || chance(50)) REQUIRE_OK(w.Checkpoint(learner_at));
    if (chance(20)) CheckAccounts(w);
  }
  REQUIRE(learner_at == plan.steps);
  REQUIRE_OK(w.Checkpoint(learner_at));
  CheckAccounts(w);
  REQUIRE(w.Counts()["covered"] == plan.steps * plan.prompts_per_step);
  // Nothing twice.
  std::set<int64_t> once;
  for (const v1::Issue& i : w.Issues(v1::ISSUE_STATE_COVERED)) {
    REQUIRE(once.insert(i.issue()).second);
    int trainings = 0;
    for (const auto& t : i.history()) trainings += t.state() == v1::ISSUE_STATE_TRAINED;
    REQUIRE(trainings == 1);
  }
  return trained;
}

TEST_CASE("Kills at any moment change nothing of what a synchronous run trains on", "[buffer]") {
  const World::Plan plan{.prompts = 7, .steps = 6, .prompts_per_step = 4};
  const Trained calm = Play(0, plan, /*disturbed=*/false);
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    const Trained wild = Play(seed, plan, /*disturbed=*/true);
    REQUIRE(wild.groups == calm.groups);
  }
}

TEST_CASE("Kills at any moment lose nothing of an asynchronous run and train nothing twice",
          "[buffer]") {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    Play(seed, {.prompts = 7, .steps = 6, .prompts_per_step = 4, .staleness = 2}, true);
  }
}

}  // namespace
}  // namespace hone::testing
