#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "services/reward/reward_service.h"
#include "tests/cli/coordinator.h"

namespace hone::testing {
namespace {

using Catch::Matchers::Contains;

constexpr char kLines[] =
    "{\"id\":\"a\",\"prompt\":\"1+1?\",\"answer\":\"2\",\"completion\":\"So \\\\boxed{2}\"}\n"
    "{\"id\":\"b\",\"answer\":\"4\",\"completion\":\"So \\\\boxed{5}\"}\n"
    "\n"
    "{\"id\":\"c\",\"answer\":4,\"completion\":\"I do not know.\"}\n"
    "{\"id\":\"d\",\"completion\":\"\\\\boxed{1}\"}\n";

v1::ScoreReport Report(const Outcome& outcome) {
  v1::ScoreReport report;
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  REQUIRE(google::protobuf::util::JsonStringToMessage(outcome.out, &report).ok());
  return report;
}

TEST_CASE("completions are scored with their reasons and summed up", "[cli]") {
  TempDir dir;
  const std::string file = WriteText(dir, "c.jsonl", kLines);
  const Outcome table = Hone({"score", file, "--scorer", "math"});
  CHECK(table.code == 0);
  CHECK_THAT(table.out, Contains("LINE") && Contains("WHY") && Contains("is not") &&
                            Contains("unparsed") && Contains("bad_reference") &&
                            Contains("4 completions, 3 (75 %) with a score") &&
                            Contains("of them: unparsed 1, bad_reference 1"));
  const v1::ScoreReport report = Report(Hone({"score", file, "--scorer", "math", "-o", "json"}));
  REQUIRE(report.completions_size() == 4);
  CHECK(report.completions(0).id() == "a");
  CHECK(report.completions(0).verdict().correct());
  CHECK_FALSE(report.completions(0).verdict().parts(0).reason().empty());
  CHECK(report.completions(2).line() == 4);
  CHECK(report.total() == 4);
  CHECK(report.scored() == 3);
  CHECK(report.correct() == 1);
  CHECK(report.mean_score() == Approx(1.0 / 3));
  CHECK(report.outcomes_size() == 3);
  REQUIRE(report.scorers_size() == 1);
  CHECK(report.scorers(0).valued() == 3);

  const v1::ScoreReport failures =
      Report(Hone({"score", file, "--scorer", "math", "--only-failures", "-o", "json"}));
  CHECK(failures.completions_size() == 3);
  CHECK(failures.total() == 4);
  CHECK(Report(Hone({"score", file, "--scorer", "math", "--summary", "-o", "json"}))
            .completions_size() == 0);
  const Outcome lines = Hone({"score", file, "--scorer", "math", "-o", "jsonl", "--limit", "2"});
  CHECK(std::count(lines.out.begin(), lines.out.end(), '\n') == 2);
}

TEST_CASE("a line may have several completions, labels and other names", "[cli]") {
  TempDir dir;
  const std::string file =
      WriteText(dir, "c.jsonl",
                "{\"gold\":\"2\",\"answer\":\"other\",\"out\":[\"\\\\boxed{2}\",\"\\\\boxed{3}\"],"
                "\"ok\":[true,true]}\n"
                "{\"gold\":\"2\",\"out\":[{\"text\":\"\\\\boxed{2}\",\"finishReason\":\"length\","
                "\"tokenIds\":[1,2,3]}],\"ok\":false}\n");
  std::vector<std::string> command = {"score",
                                      file,
                                      "--field",
                                      "out",
                                      "--answer-field",
                                      "gold",
                                      "--label",
                                      "ok",
                                      "-o",
                                      "json",
                                      "--scorer",
                                      "math",
                                      "--scorer",
                                      "length:max=3,weight=0.5"};
  const v1::ScoreReport report = Report(Hone(command));
  REQUIRE(report.completions_size() == 3);
  CHECK(report.completions(1).sample_index() == 1);
  CHECK(report.labelled() == 3);
  CHECK(report.agreeing() == 1);
  CHECK(report.false_accepts() == 1);
  // Only the object tells its number of tokens.
  CHECK(report.completions(0).verdict().outcome() == v1::OUTCOME_BAD_REFERENCE);
  CHECK(report.completions(2).verdict().score() == 1.5);
  command.push_back("--only-failures");
  CHECK(Report(Hone(command)).completions_size() == 2);
  command[9] = "table";
  CHECK_THAT(Hone(command).out,
             Contains("labels: 1 (33.33 %) agree, 1 wrongly accepted, 1 wrongly rejected"));
}

TEST_CASE("prompts may come from a file of their own", "[cli]") {
  TempDir dir;
  const std::string prompts =
      WriteText(dir, "p.jsonl", "{\"id\":\"x\",\"prompt\":\"6*7?\",\"answer\":\"42\"}\n");
  const std::string good = WriteText(
      dir, "c.jsonl", "{\"promptId\":\"x\",\"completions\":[{\"text\":\"\\\\boxed{42}\"}]}\n");
  CHECK(Report(Hone({"score", good, "--prompts", prompts, "--scorer", "math", "-o", "json"}))
            .correct() == 1);
  const std::string bad = WriteText(dir, "d.jsonl", "{\"id\":\"y\",\"completion\":\"1\"}\n");
  const Outcome refused = Hone({"score", bad, "--prompts", prompts, "--scorer", "math"});
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, Contains("d.jsonl:1: ") && Contains("\"y\" is not in"));
}

TEST_CASE("options of scorers have the types that the scorer knows", "[cli]") {
  TempDir dir;
  const std::string file = WriteText(dir, "c.jsonl", "{\"completion\":\"a 5, b 5\"}\n");
  const auto score = [&](const std::string& scorer) {
    return Hone({"score", file, "--scorer", scorer, "-o", "json"});
  };
  CHECK(Report(score("repetition:ngram=2,allowed=1e-1")).total() == 1);
  CHECK(Report(score(R"(repetition:{"ngram": 2, "allowed": 0.25})")).total() == 1);
  // A number that is a text, with a comma in it.
  CHECK(Report(score("contains:text=5\\, b")).correct() == 1);
  CHECK(Report(score("contains:text=5")).correct() == 1);
  CHECK_THAT(score("repetition:ngram=two").err, Contains("expected a number, 1 to 1000"));
  CHECK_THAT(score("repetition:ngram=0").err, Contains("1 to 1000"));
  CHECK_THAT(score("repetition:gram=2").err, Contains("did you mean \"ngram\"?"));
  CHECK_THAT(score("mth").err, Contains("did you mean \"math\"?"));
  CHECK_THAT(score("repetition:ngram").err, Contains("expected option=value"));
  CHECK_THAT(score("repetition:{").err, Contains("not JSON"));
  CHECK(score("math:weight=heavy").code == 1);
}

TEST_CASE("a bad file is named with its lines", "[cli]") {
  TempDir dir;
  const std::string file = WriteText(dir, "c.jsonl",
                                     "{\"text\":\"x\",\"answer\":\"1\",\"output\":\"y\"}\n"
                                     "no json\n"
                                     "{\"completion\":3}\n"
                                     "{\"completion\":\"x\",\"finish_reason\":\"tired\"}\n");
  const Outcome refused = Hone({"score", file, "--scorer", "math"});
  CHECK(refused.code == 1);
  CHECK(refused.out.empty());
  CHECK_THAT(refused.err, Contains("c.jsonl:1: has no \"completion\"") && Contains("output") &&
                              Contains("c.jsonl:2: not JSON") && Contains("c.jsonl:3: ") &&
                              Contains("c.jsonl:4: finish reason"));
  CHECK(Hone({"score", dir.path() + "/none.jsonl", "--scorer", "math"}).code == 3);
  CHECK(Hone({"score", "--scorer", "math"}).code == 1);
  CHECK(Hone({"score", file}).code == 1);
}

TEST_CASE("the reward of a run file is taken, or of one of its prompt sets", "[cli]") {
  TempDir dir;
  const std::string run = WriteText(dir, "run.yaml", R"(name: two
model: {path: model, random_init: true}
stages:
  - name: learn
    grpo:
      prompt_set: sums
      steps: 2
      prompts_per_step: 1
      group_size: 2
      sampling: {max_new_tokens: 4}
      optimizer: {learning_rate: 1e-3}
evaluations: [{name: words, prompt_set: words, samples: 1, sampling: {max_new_tokens: 4}}]
reward: {scorers: [{name: math}]}
prompt_set_rewards:
  - prompt_set: words
    reward: {scorers: [{name: contains, options: {text: know}}]}
checkpoint: {path: checkpoints}
)");
  const std::string file = WriteText(dir, "c.jsonl", kLines);
  CHECK(Report(Hone({"score", file, "--reward-of", run, "-o", "json"})).scorers(0).scorer() ==
        "math");
  const v1::ScoreReport words =
      Report(Hone({"score", file, "--reward-of", run, "--prompt-set", "words", "-o", "json"}));
  CHECK(words.scorers(0).scorer() == "contains");
  CHECK(words.correct() == 1);
  CHECK(Hone({"score", file, "--reward-of", run, "--scorer", "math"}).code == 1);
  CHECK(Hone({"score", file, "--scorer", "math", "--prompt-set", "words"}).code == 1);
}

TEST_CASE("a reward service says the same as this process", "[cli]") {
  Registry registry;
  REQUIRE_OK(RegisterBuiltinScorers(registry));
  REQUIRE_OK(registry.RegisterUnavailable({"python", "unit tests", "1"}, "no sandbox"));
  RewardService service(registry, {}, nullptr);
  auto server = rpc::Server::Start({.listen = "127.0.0.1:0"}, {&service});
  REQUIRE_OK(server);
  const std::string address = absl::StrCat("127.0.0.1:", (*server)->port());
  TempDir dir;
  std::string lines;
  for (int i = 0; i < 300; ++i)
    absl::StrAppend(&lines, "{\"answer\":\"", i % 7, "\",\"completion\":\"\\\\boxed{", i % 5,
                    "}\"}\n");
  const std::string file = WriteText(dir, "c.jsonl", lines);
  const auto strip = [](v1::ScoreReport r) {
    for (v1::ScoredCompletion& c : *r.mutable_completions()) {
      c.mutable_verdict()->clear_seconds();
      c.mutable_verdict()->clear_queue_seconds();
      for (v1::ScorePart& p : *c.mutable_verdict()->mutable_parts()) p.clear_seconds();
    }
    for (auto& s : *r.mutable_scorers()) s.clear_seconds();
    return r.SerializeAsString();
  };
  const std::vector<std::string> here = {
      "score", file, "--scorer", "math", "--scorer", "format:weight=0.1", "-o", "json"};
  std::vector<std::string> there = here;
  there.insert(there.end(), {"--address", address});
  const v1::ScoreReport local = Report(Hone(here));
  CHECK(local.total() == 300);
  CHECK(strip(Report(Hone(there))) == strip(local));

  const Outcome list = Hone({"score", "--list", "--address", address});
  CHECK_THAT(list.out, Contains("python (version 1): unit tests\n  not available: no sandbox") &&
                           Contains("ngram=8  integer: 1 to 1000"));
  const Outcome wrong = Hone({"score", file, "--scorer", "mth", "--address", address});
  CHECK(wrong.code == 1);
  CHECK_THAT(wrong.err, Contains("did you mean \"math\"?"));
  const Outcome lacking = Hone({"score", file, "--scorer", "python", "--address", address});
  CHECK(lacking.code == 1);
  CHECK_THAT(lacking.err, Contains("\"python\" is not available here: no sandbox"));
  CHECK(Hone({"score", file, "--scorer", "math", "--address", "127.0.0.1:1", "--timeout", "1s"})
            .code == 4);
  (*server)->Shutdown(std::chrono::seconds(1));
}

TEST_CASE("the scorers of this process are listed with their options", "[cli]") {
  const Outcome list = Hone({"score", "--list"});
  CHECK(list.code == 0);
  for (const char* name :
       {"contains", "countdown", "format", "language", "length", "math", "repetition"})
    CHECK_THAT(list.out, Contains(absl::StrCat(name, " (version ")));
  CHECK_THAT(list.out, Contains("template=r1_zero  choice: r1_zero | think"));
  v1::ListScorersResponse all;
  REQUIRE(
      google::protobuf::util::JsonStringToMessage(Hone({"score", "--list", "-o", "json"}).out, &all)
          .ok());
  CHECK(all.scorers_size() == 12);
  CHECK_THAT(Hone({"score", "--list"}).out, Contains("not available: there is no sandbox"));
}

}  // namespace
}  // namespace hone::testing
