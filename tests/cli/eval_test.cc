// hone eval with a reward model that blocks: an HTTP server of this test.

#include <condition_variable>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/json_util.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "proto/hone/v1/trajectory.pb.h"
#include "tests/cli/coordinator.h"
#include "tests/http/server.h"
#include "tests/testing/tiny_model.h"

namespace hone::testing {
namespace {

using Catch::Matchers::Contains;
using nlohmann::json;

constexpr int kPrompts = 3, kSamples = 4, kAll = kPrompts * kSamples;

// Any value in [0, 1] that depends on all of the text.
double ValueOf(const std::string& completion) {
  uint32_t hash = 1;
  for (const char c : completion) hash = hash * 31 + static_cast<unsigned char>(c);
  return hash % 3 == 0 ? 1 : hash % 1000 / 1000.0;
}

// Answers none until `together` requests are there, or 20 s are over: then it fails all.
class RewardModel {
 public:
  explicit RewardModel(int together)
      : together_(together), server_([this](const ServerRequest& r) { return Answer(r); }, 32) {}
  const Server& server() const { return server_; }

 private:
  ServerReply Answer(const ServerRequest& request) {
    ServerReply reply;
    {
      MutexLock lock(mu_);
      if (++arrived_ >= together_) changed_.notify_all();
      if (!lock.WaitUntil(changed_, SystemClock::Get().Now() + std::chrono::seconds(20),
                          [this]()
                              ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return arrived_ >= together_; }))
        reply.code = 400;
    }
    reply.body = json{{"score", ValueOf(json::parse(request.body)["completion"])}}.dump();
    return reply;
  }

  const int together_;
  Mutex mu_;
  std::condition_variable changed_;
  int arrived_ ABSL_GUARDED_BY(mu_) = 0;
  Server server_;  // last: its threads use the rest
};

struct Evaluated {
  Outcome outcome;
  std::vector<v1::Group> groups;  // without times
};

class Evaluation {
 public:
  Evaluation() {
    const ExampleModel model = ExampleModels()[0];
    json config = model.config;
    config.update(model.small);
    WriteTinyModel(dir_.path() + "/model", config);
    std::string lines;
    for (int i = 0; i < kPrompts; ++i)
      lines += absl::StrCat("{\"id\": \"p", i, "\", \"prompt\": \"prompt ", i, "\"}\n");
    prompts_ = WriteText(dir_, "prompts.jsonl", lines);
  }

  Evaluated Run(const Server& server, int concurrency, const std::string& prompts = "") {
    const std::string verifiers =
        WriteText(dir_, "verifiers.yaml",
                  absl::StrCat("backends: {m: {url: \"", server.url(),
                               "\", attempts: 1, concurrency: ", concurrency, "}}\n"));
    const std::string saved = dir_.path() + "/saved.jsonl";
    std::filesystem::remove(saved);
    Evaluated e;
    e.outcome = Hone({"eval", "--model", dir_.path() + "/model", "--prompts",
                      prompts.empty() ? prompts_ : prompts, "--scorer", "reward_model:backend=m",
                      "--verifiers", verifiers, "--samples", std::to_string(kSamples),
                      "--max-new-tokens", "400", "--seed", "7", "--threads", "1", "--save", saved});
    const auto text = ReadFile(saved, 1 << 20);
    if (!text.ok()) return e;
    for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
      v1::Group group;
      REQUIRE(google::protobuf::util::JsonStringToMessage(std::string(line), &group).ok());
      for (v1::Completion& c : *group.mutable_completions()) {
        c.clear_generate_seconds();
        c.clear_score_seconds();
        c.mutable_verdict()->clear_seconds();
        c.mutable_verdict()->clear_queue_seconds();
        for (v1::ScorePart& part : *c.mutable_verdict()->mutable_parts()) part.clear_seconds();
      }
      e.groups.push_back(std::move(group));
    }
    return e;
  }

  const TempDir& dir() const { return dir_; }

 private:
  TempDir dir_;
  std::string prompts_;
};

TEST_CASE("completions are judged while others are generated, with the same result", "[cli]") {
  Evaluation evaluation;
  // No verdict comes before all completions have arrived: who waited for one would wait for ever.
  RewardModel blocking(kAll);
  const Evaluated overlapped = evaluation.Run(blocking.server(), 16);
  INFO(overlapped.outcome.err);
  REQUIRE(overlapped.outcome.code == 0);
  CHECK(blocking.server().most_at_once() == kAll);
  REQUIRE(overlapped.groups.size() == kPrompts);
  for (int p = 0; p < kPrompts; ++p) {
    const v1::Group& group = overlapped.groups[static_cast<size_t>(p)];
    CHECK(group.prompt_id() == absl::StrCat("p", p));
    REQUIRE(group.completions_size() == kSamples);
    for (int i = 0; i < kSamples; ++i) {
      const v1::Completion& c = group.completions(i);
      CHECK(c.sample_index() == i);
      CHECK(c.verdict().outcome() == v1::OUTCOME_SCORED);
      CHECK(c.verdict().score() == Approx(ValueOf(c.text())));
    }
  }

  RewardModel ready(0);
  const Evaluated serial = evaluation.Run(ready.server(), 1);
  REQUIRE(serial.outcome.code == 0);
  CHECK(ready.server().most_at_once() == 1);
  CHECK(serial.outcome.out == overlapped.outcome.out);
  REQUIRE(serial.groups.size() == kPrompts);
  for (size_t p = 0; p < kPrompts; ++p)
    CHECK(serial.groups[p].SerializeAsString() == overlapped.groups[p].SerializeAsString());
}

TEST_CASE("an evaluation says which prompt is wrong and which verdicts are missing", "[cli]") {
  Evaluation evaluation;
  RewardModel unused(0);
  const std::string long_prompt = WriteText(
      evaluation.dir(), "long.jsonl",
      absl::StrCat("{\"prompt\": \"a\"}\n{\"prompt\": \"", std::string(3000, 'a'), "\"}\n"));
  const Evaluated refused = evaluation.Run(unused.server(), 1, long_prompt);
  CHECK(refused.outcome.code == 1);
  CHECK_THAT(refused.outcome.err, Contains("long.jsonl:2: "));
  CHECK(refused.groups.empty());
  CHECK(unused.server().requests() == 0);

  Server broken([](const ServerRequest&) { return ServerReply{.code = 400}; });
  const Evaluated unscored = evaluation.Run(broken, 4);
  CHECK(unscored.outcome.code == 0);
  REQUIRE(unscored.groups.size() == kPrompts);
  for (const v1::Group& group : unscored.groups)
    for (const v1::Completion& c : group.completions())
      CHECK(c.verdict().outcome() == v1::OUTCOME_VERIFIER_UNAVAILABLE);
}

}  // namespace
}  // namespace hone::testing
