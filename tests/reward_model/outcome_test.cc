// Outcome and process reward models, and what backends may do wrong.

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "libs/config/config.h"
#include "tests/reward_model/fake.h"

namespace hone {
namespace {

using nlohmann::json;
using testing::BackendAt;
using testing::Function;
using testing::In;
using testing::Item;
using testing::RegistryWith;
using testing::Says;
using testing::Server;
using testing::ServerReply;
using testing::ServerRequest;

// What `scorers` say of `item` when the backend replies with `body` and `code`.
v1::ScorePart Asked(const std::string& scorers, const std::string& body, int code = 200,
                    const v1::ScoreItem& item = Item("a\n\nb")) {
  Server server([&](const ServerRequest&) {
    ServerReply reply{code, body};
    return reply;
  });
  const Registry registry = RegistryWith(BackendAt(server));
  const absl::StatusOr<RewardFunction> function = Function(scorers, registry);
  REQUIRE_OK(function);
  CHECK(function->blocks());
  return function->Score(item, In(20)).parts(0);
}

std::string Outcome(const std::string& body, const std::string& options = "") {
  return Says(
      Asked(R"([{"name": "reward_model", "options": {"backend": "m")" + options + "}}]", body));
}

std::string Process(const std::string& body, const std::string& options = "") {
  return Says(
      Asked(R"([{"name": "process_reward", "options": {"backend": "m")" + options + "}}]", body));
}

TEST_CASE("a reward model is asked about prompt and completion", "[reward_model]") {
  json asked;
  std::string path;
  Server server([&](const ServerRequest& r) {
    asked = json::parse(r.body);
    path = r.path;
    return ServerReply{200, "{\"score\": 0.25}"};
  });
  const Registry registry = RegistryWith(BackendAt(server));
  const auto function =
      Function(R"([{"name": "reward_model", "weight": 2, "options": {"backend": "m"}}])", registry);
  REQUIRE_OK(function);
  const v1::Verdict verdict = function->Score(Item("four \"4\"\n"), In(20));
  CHECK(verdict.score() == 0.5);
  CHECK(verdict.parts(0).reason() == "the model says 0.25");
  CHECK(asked ==
        json{{"prompt", "What is 2 + 2?"}, {"completion", "four \"4\"\n"}, {"model", "the-model"}});
  CHECK(path == "/");
}

TEST_CASE("numbers become values as the options say", "[reward_model]") {
  CHECK(Outcome(R"({"score": 1})") == "SCORED 1");
  CHECK(Outcome(R"({"score": 0, "more": []})") == "SCORED 0");
  CHECK(Outcome(R"({"score": 0})", R"(, "transform": "sigmoid")") == "SCORED 0.5");
  CHECK(Outcome(R"({"score": -1000})", R"(, "transform": "sigmoid")") == "SCORED 0");
  CHECK(Outcome(R"({"score": 3})", R"(, "transform": "linear", "low": -5, "high": 5)") ==
        "SCORED 0.8");
  CHECK(Outcome(R"({"score": 9})", R"(, "transform": "linear", "low": -5, "high": 5)") ==
        "SCORED 1");
  for (const char* bad :
       {R"({"score": 1.01})", R"({"score": -0.1})", R"({"score": "1"})", R"({"score": null})",
        R"({"score": true})", R"({"score": NaN})", R"({"score": 1e999})", R"({"score": [1]})",
        R"({"scores": [1]})", "{}", "[]", "1", "", "{\"score\": 1", "{\"score\": 1, \"score\": 0}",
        "<html>busy</html>", "{\"score\": 1}{\"score\": 1}", "\xff\xfe"}) {
    INFO(bad);
    CHECK(Outcome(bad) == "VERIFIER_UNAVAILABLE 0");
  }
  CHECK(Outcome("{\"score\": 1" + std::string(200'000, ' ') + "}") == "VERIFIER_UNAVAILABLE 0");
}

TEST_CASE("a process reward model judges steps", "[reward_model]") {
  json asked;
  Server server([&](const ServerRequest& r) {
    asked = json::parse(r.body);
    return ServerReply{200, R"({"scores": [0.5, 0.25, 1]})"};
  });
  const Registry registry = RegistryWith(BackendAt(server));
  const auto said = [&](const std::string& options,
                        const std::string& text = "one\n\n \n\ntwo\n \n\nthree\n") {
    const auto function = Function(
        R"([{"name": "process_reward", "options": {"backend": "m")" + options + "}}]", registry);
    REQUIRE_OK(function);
    return function->Score(Item(text), In(20)).parts(0);
  };
  CHECK(Says(said("")) == "SCORED 0.25");
  CHECK(said("").reason() == "min of 3 steps; the lowest is step 2 with 0.25");
  CHECK(asked["steps"] == json{"one", "two", "three"});
  CHECK(Says(said(R"(, "aggregate": "last")")) == "SCORED 1");
  CHECK(Says(said(R"(, "aggregate": "product")")) == "SCORED 0.125");
  CHECK(said(R"(, "aggregate": "mean")").value() == (0.5 + 0.25 + 1) / 3);
  CHECK(Says(said(R"(, "delimiter": "Step")", "Step 1: aStep 2: b\n\nbStep 3: c")) ==
        "SCORED 0.25");
  CHECK(asked["steps"] == json{"1: a", "2: b\n\nb", "3: c"});
  CHECK(Says(said("", " \n\n ")) == "UNPARSED 0");
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "x\n\n";
  CHECK(Says(said("", many)) == "BUDGET 0");

  for (const char* bad :
       {R"({"scores": [0.5]})", R"({"scores": [0.5, 0.5, 0.5]})", R"({"scores": [0.5, "1"]})",
        R"({"scores": [0.5, 2]})", R"({"scores": 1})", R"({"score": 1})", "{}"})
    CHECK(Process(bad) == "VERIFIER_UNAVAILABLE 0");
}

TEST_CASE("a backend that fails is never a score", "[reward_model]") {
  for (const int code : {400, 401, 404, 429, 500, 503})
    CHECK(Says(Asked(R"([{"name": "reward_model", "options": {"backend": "m"}}])",
                     R"({"score": 1})", code)) == "VERIFIER_UNAVAILABLE 0");
  Server slow([](const ServerRequest& r) {
    ServerReply reply{200, R"({"score": 1})"};
    const std::string completion = json::parse(r.body)["completion"];
    if (completion == "late") reply.delay = std::chrono::seconds(30);
    if (completion == "drip") reply.drip = std::chrono::milliseconds(200);
    return reply;
  });
  const Registry registry = RegistryWith(BackendAt(slow));
  const auto function =
      Function(R"([{"name": "reward_model", "options": {"backend": "m"}}])", registry);
  REQUIRE_OK(function);
  for (const char* text : {"late", "drip"}) {
    const TimePoint start = SystemClock::Get().Now();
    CHECK(Says(function->Score(Item(text), In(0.3)).parts(0)) == "TIMEOUT 0");
    CHECK(SystemClock::Get().Now() - start < std::chrono::seconds(5));
  }
  CHECK(Says(function->Score(Item("quick"), In(20)).parts(0)) == "SCORED 1");
}

TEST_CASE("all scorers of a process share a backend's limit", "[reward_model]") {
  Server server([](const ServerRequest&) {
    ServerReply reply{200, R"({"score": 1})"};
    reply.delay = std::chrono::milliseconds(20);
    return reply;
  });
  const Registry registry = RegistryWith(BackendAt(server, 2));
  std::vector<absl::StatusOr<RewardFunction>> functions;
  for (int i = 0; i < 10; ++i)
    functions.push_back(
        Function(R"([{"name": "reward_model", "options": {"backend": "m"}}])", registry));
  const v1::ScoreItem item = Item("x");
  std::vector<std::thread> threads;
  std::atomic<int> scored{0};
  for (const auto& function : functions)
    threads.emplace_back(
        [&] { scored += Says(function->Score(item, In(30)).parts(0)) == "SCORED 1"; });
  for (std::thread& t : threads) t.join();
  CHECK(scored == 10);
  CHECK(server.most_at_once() <= 2);
}

TEST_CASE("what is wrong with options and files is said", "[reward_model]") {
  Server server([](const ServerRequest&) { return ServerReply(); });
  const Registry registry = RegistryWith(BackendAt(server));
  const auto message = [&](const std::string& scorers) {
    return std::string(Function(scorers, registry).status().message());
  };
  CHECK(absl::StrContains(message(R"([{"name": "judge"}])"), "backend is missing"));
  CHECK(absl::StrContains(message(R"([{"name": "judge", "options": {"backend": "x"}}])"),
                          "not known; known: m"));
  CHECK(absl::StrContains(
      message(R"([{"name": "reward_model", "options": {"backend": "m", "low": 2}}])"), "low"));
  CHECK(absl::StrContains(
      message(R"([{"name": "judge", "options": {"backend": "m", "max_grade": 0}}])"), "max_grade"));
  CHECK(absl::StrContains(
      message(R"([{"name": "process_reward", "options": {"backend": "m", "delimiter": ""}}])"),
      "delimiter"));
  CHECK_CODE(Function(R"([{"name": "judge", "options": {"backend": "m"}}])", RegistryWith({})),
             absl::StatusCode::kFailedPrecondition);

  v1::VerifiersSpec spec;
  REQUIRE_OK(
      ParseYaml("backends:\n  rm: {url: \"http://a/score\", concurrency: 3}\n"
                "  judge: {url: \"https://b/v1\", model: big, api_key_env: HONE_TEST_KEY}\n",
                "verifiers.yaml", &spec));
  CHECK(absl::StrContains(ModelBackends::Create(spec).status().message(),
                          "backends.judge"));  // no such variable
  setenv("HONE_TEST_KEY", "k", 1);
  const auto backends = ModelBackends::Create(spec);
  REQUIRE_OK(backends);
  CHECK((*backends->Find("judge"))->model == "big");
  (*spec.mutable_backends())["rm"].set_concurrency(-1);
  CHECK(absl::StrContains(ModelBackends::Create(spec).status().message(), "concurrency"));
}

}  // namespace
}  // namespace hone
