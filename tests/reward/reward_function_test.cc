#include "libs/reward/reward_function.h"

#include <limits>
#include <thread>

#include "tests/reward/items.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

// Says what its options tell it to.
class FixedScorer : public Scorer {
 public:
  explicit FixedScorer(v1::ScorePart part) : part_(std::move(part)) {}
  v1::ScorePart Score(const v1::ScoreItem&, TimePoint) const override { return part_; }

 private:
  v1::ScorePart part_;
};

Registry Fixed() {
  Registry registry;
  auto add = [&registry](const char* name, v1::ScorePart part) {
    CHECK_OK(registry.Register({name, "", "1"},
                               [part](Options&) { return std::make_unique<FixedScorer>(part); }));
  };
  add("one", Scored(1, ""));
  add("half", Scored(0.5, ""));
  add("unparsed", Unparsed(""));
  add("down", Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE, ""));
  add("slow", Unscored(v1::OUTCOME_TIMEOUT, ""));
  add("crashed", OwnFailure(v1::OUTCOME_CRASHED, 0.25, ""));
  return registry;
}

v1::Verdict Run(const std::string& json) {
  absl::StatusOr<RewardFunction> f = RewardFunction::Create(Spec(json), Fixed());
  REQUIRE_OK(f);
  return f->Score(Item("x"));
}

TEST_CASE("a verdict is the weighted sum, a weight of 0 means 1", "[reward]") {
  const v1::Verdict v = Run(R"({"scorers": [{"name": "one"}, {"name": "half", "weight": 3},
                                {"name": "one", "weight": -0.25}]})");
  CHECK(v.outcome() == v1::OUTCOME_SCORED);
  CHECK(v.score() == Approx(1 + 1.5 - 0.25));
  CHECK(v.correct());
  REQUIRE(v.parts_size() == 3);
  CHECK(v.parts(0).scorer() == "one");
  CHECK(v.parts(0).weight() == 1);
  CHECK(v.parts(1).value() == 0.5);
  CHECK(v.parts(1).weight() == 3);
  CHECK(v.seconds() >= v.parts(0).seconds());
}

TEST_CASE("the first scorer alone decides whether an answer is correct", "[reward]") {
  CHECK_FALSE(Run(R"({"scorers": [{"name": "half"}, {"name": "one"}]})").correct());
  CHECK(Run(R"({"scorers": [{"name": "one"}, {"name": "half"}]})").correct());
  CHECK(Run(R"({"scorers": [{"name": "one"}, {"name": "down"}]})").correct());
  CHECK_FALSE(Run(R"({"scorers": [{"name": "down"}, {"name": "one"}]})").correct());
}

TEST_CASE("a part without a score makes the verdict's outcome, never a silent zero", "[reward]") {
  const v1::Verdict unparsed = Run(R"({"scorers": [{"name": "unparsed"}, {"name": "half"}]})");
  CHECK(unparsed.outcome() == v1::OUTCOME_SCORED);
  CHECK(unparsed.score() == 0.5);
  const v1::Verdict failed =
      Run(R"({"scorers": [{"name": "one"}, {"name": "slow"}, {"name": "down"}]})");
  CHECK(failed.outcome() == v1::OUTCOME_TIMEOUT);
  CHECK(failed.score() == 0);
  CHECK(failed.parts_size() == 3);
  CHECK(failed.parts(2).outcome() == v1::OUTCOME_VERIFIER_UNAVAILABLE);
}

TEST_CASE("what a completion did to itself counts, and its outcome is seen", "[reward]") {
  const v1::Verdict v =
      Run(R"({"scorers": [{"name": "crashed", "weight": 2}, {"name": "half"}]})");
  CHECK(v.outcome() == v1::OUTCOME_SCORED);
  CHECK(v.score() == 1);
  CHECK_FALSE(v.correct());
  CHECK(v.parts(0).outcome() == v1::OUTCOME_CRASHED);
}

TEST_CASE("aborted and oversized completions are typed", "[reward]") {
  const RewardFunction f = Function(R"({"scorers": [{"name": "format"}]})");
  CHECK(f.Score(Item("x", "{}", v1::FINISH_REASON_ABORT)).outcome() ==
        v1::OUTCOME_VERIFIER_UNAVAILABLE);
  const std::string large(RewardFunction::kMaxCompletionBytes, 'x');
  CHECK(f.Score(Item(large)).outcome() == v1::OUTCOME_SCORED);
  CHECK(f.Score(Item(large + "x")).outcome() == v1::OUTCOME_BUDGET);
}

std::string Refusal(const v1::RewardSpec& spec) {
  const absl::StatusOr<RewardFunction> f = RewardFunction::Create(spec);
  CHECK_CODE(f, absl::StatusCode::kInvalidArgument);
  return std::string(f.status().message());
}

TEST_CASE("a wrong specification says what is wrong, where, and what is known", "[reward]") {
  using Catch::Contains;
  CHECK_THAT(Refusal(Spec("{}")), Contains("reward.scorers has 0"));
  CHECK_THAT(Refusal(Spec(R"({"scorers": [{"name": "format"}, {"name": "maths"}]})")),
             Contains("reward.scorers[1]") && Contains("maths") &&
                 Contains("did you mean \"math\"?") &&
                 Contains("countdown, format, language, length, math, repetition"));
  CHECK_THAT(Refusal(Spec(R"({"scorers": [{"name": "countdown", "options": {"operator": "+"}}]})")),
             Contains("\"operator\"") && Contains("operators, require_format"));
  CHECK_THAT(Refusal(Spec(R"({"scorers": [{"name": "countdown", "options": {"operators": 3}}]})")),
             Contains("operators") && Contains("expected a string"));
  CHECK_THAT(
      Refusal(Spec(R"({"scorers": [{"name": "countdown", "options": {"operators": "^"}}]})")),
      Contains("expected some of +-*/"));
  CHECK_THAT(Refusal(Spec(R"({"scorers": [{"name": "format", "options": {"template": "r2"}}]})")),
             Contains("r2") && Contains("r1_zero, think"));
  v1::RewardSpec spec = Spec(R"({"scorers": [{"name": "format"}]})");
  spec.mutable_scorers(0)->set_weight(std::numeric_limits<double>::quiet_NaN());
  CHECK_THAT(Refusal(spec), Contains("weight"));
  for (int i = 0; i < 40; ++i) spec.add_scorers()->set_name("format");
  CHECK_THAT(Refusal(spec), Contains("41 scorers"));
}

TEST_CASE("a registry refuses a second scorer of one name and lists what it has", "[reward]") {
  Registry registry = Fixed();
  CHECK_CODE(registry.Register({"one", "", "2"}, nullptr), absl::StatusCode::kAlreadyExists);
  REQUIRE(registry.List().size() == 6);
  std::vector<std::string> names;
  for (const ScorerInfo& info : BuiltinScorers().List()) {
    names.push_back(info.name);
    CHECK_FALSE(info.description.empty());
    CHECK_FALSE(info.version.empty());
  }
  CHECK(names == std::vector<std::string>{"contains", "countdown", "format", "language", "length",
                                          "math", "repetition"});
}

TEST_CASE("the same item gets the same verdict on every thread, timings apart", "[reward]") {
  const RewardFunction f =
      Function(R"({"scorers": [{"name": "math"}, {"name": "format", "weight": 0.1}]})");
  const v1::ScoreItem item =
      Item("<think>x</think><answer>\\frac{3}{6}</answer>", R"({"answer": "0.5"})");
  auto strip = [](v1::Verdict v) {
    v.clear_seconds();
    for (v1::ScorePart& p : *v.mutable_parts()) p.clear_seconds();
    return v.SerializeAsString();
  };
  const std::string want = strip(f.Score(item));
  std::vector<std::string> got(4);
  std::vector<std::thread> threads;
  for (std::string& g : got)
    threads.emplace_back([&f, &item, &g, &strip] {
      for (int i = 0; i < 200; ++i) g = strip(f.Score(item));
    });
  for (std::thread& t : threads) t.join();
  for (const std::string& g : got) CHECK(g == want);
}

}  // namespace
}  // namespace hone::testing
