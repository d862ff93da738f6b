// Verdicts of the local and the remote verifier, and of the scorer.

#include "libs/reward/lean/verifier.h"

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "google/protobuf/util/json_util.h"
#include "libs/base/file.h"
#include "tests/http/server.h"
#include "tests/reward_lean/fake.h"

namespace hone::lean {
namespace {

using testing::Count;
using testing::FakeRepl;
using testing::In;
using testing::ProofOf;
using testing::Says;

namespace fs = std::filesystem;
using nlohmann::json;

LocalOptions Local(const std::string& log = "", int processes = 1) {
  LocalOptions options;
  options.pool.repl = FakeRepl({"prove"}, log);
  options.pool.repl.process.memory_bytes = int64_t{1} << 30;
  options.pool.processes = processes;
  return options;
}

TEST_CASE("a yes needs two processes", "[reward_lean]") {
  testing::TempDir folder;
  const std::string log = folder.path() + "/log";
  LocalOptions options = Local(log);
  options.directory = folder.path();
  const auto verifier = MakeLocalVerifier(options);
  CHECK(Says(verifier->Verify(ProofOf("exact h.ne'"), In(30))) == "SCORED 1");
  CHECK(Count(log, "start") == 2);
  CHECK(Count(log, "unpickle") == 1);
  CHECK(Says(verifier->Verify(ProofOf("exact say_none"), In(30))) == "SCORED 1");
  // A no needs one.
  CHECK(Says(verifier->Verify(ProofOf("exact say_error"), In(30))) == "SCORED 0");
  CHECK(Count(log, "start") == 3);
  CHECK(Count(log, "header") == 1);
  for (const auto& entry : fs::directory_iterator(folder.path())) CHECK(entry.path() == log);

  for (const char* no : {"again_kernel", "again_axiom", "again_error"})
    CHECK(Says(verifier->Verify(ProofOf(std::string("exact ") + no), In(30))) == "SCORED 0");
  CHECK(Says(verifier->Verify(ProofOf("exact again_lost"), In(30))) == "VERIFIER_UNAVAILABLE 0");
  CHECK(Says(verifier->Verify(ProofOf("exact again_hang"), In(1))) == "VERIFIER_UNAVAILABLE 0");

  options.second_check = false;
  const int64_t before = Count(log, "start");
  CHECK(Says(MakeLocalVerifier(options)->Verify(ProofOf("exact h.ne'"), In(30))) == "SCORED 1");
  CHECK(Count(log, "start") == before + 1);
}

TEST_CASE("sorry is found however it is said, and so are foreign axioms", "[reward_lean]") {
  const auto verifier = MakeLocalVerifier(Local());
  for (const char* word : {"say_sorry_quoted", "say_sorry_ticked", "say_sorry_bare", "say_sorries",
                           "say_axiom", "say_sorry_axiom", "say_forged", "say_error"}) {
    const v1::ScorePart part = verifier->Verify(ProofOf(std::string("exact ") + word), In(30));
    INFO(word << ": " << part.reason());
    CHECK(Says(part) == "SCORED 0");
  }
  // What says nothing of the axioms, or too much, is no yes.
  for (const char* word : {"say_silence", "say_two_reports"})
    CHECK(Says(verifier->Verify(ProofOf(std::string("exact ") + word), In(30))) ==
          "VERIFIER_UNAVAILABLE 0");
  const v1::ScorePart reference = verifier->Verify(
      ProofOf("trivial", testing::kHeader, "theorem X : bad_statement := by"), In(30));
  CHECK(Says(reference) == "BAD_REFERENCE 0");
  CHECK(verifier->Verify(ProofOf("trivial\nexact say_error"), In(30)).reason() ==
        "Lean, line 3: \"unsolved goals\"");
}

TEST_CASE("every fault of a process has its outcome", "[reward_lean]") {
  LocalOptions options = Local();
  options.proof_timeout = std::chrono::milliseconds(500);
  const auto quick = MakeLocalVerifier(options);
  CHECK(Says(quick->Verify(ProofOf("exact fault_hang"), In(30))) == "TIMEOUT 0");
  CHECK(Says(quick->Verify(ProofOf("exact fault_partial"), In(30))) == "TIMEOUT 0");
  const auto verifier = MakeLocalVerifier(Local());
  const auto says = [&](const std::string& word) {
    return Says(verifier->Verify(ProofOf("exact fault_" + word), In(30)));
  };
  CHECK(says("crash") == "CRASHED 0");
  CHECK(says("cut") == "CRASHED 0");
  CHECK(says("memory") == "OUT_OF_MEMORY 0");
  CHECK(says("huge") == "OUTPUT_LIMIT 0");
  for (const char* word : {"garbage", "nan", "types", "wrong_env", "no_env"})
    CHECK(says(word) == "VERIFIER_UNAVAILABLE 0");
  CHECK(Says(verifier->Verify(ProofOf("exact h.ne'"), In(30))) == "SCORED 1");
  CHECK(Says(verifier->Verify(ProofOf("exact fault_hang"), In(0.4))) == "TIMEOUT 0");
  // No time to import the header is not the proof's fault.
  CHECK(Says(verifier->Verify(ProofOf("trivial", "open header_hang"), In(0.4))) ==
        "VERIFIER_UNAVAILABLE 0");
  CHECK(Says(verifier->Verify(ProofOf("trivial", "import NoSuchModule"), In(30))) ==
        "BAD_REFERENCE 0");
  LocalOptions missing;
  missing.pool.repl.process.argv = {"/nowhere/repl"};
  CHECK(Says(MakeLocalVerifier(missing)->Verify(ProofOf("trivial"), In(30))) ==
        "VERIFIER_UNAVAILABLE 0");
}

TEST_CASE("what only an old process does is tried again in a fresh one", "[reward_lean]") {
  for (const char* word : {"old_crash", "old_memory", "old_wrong_env", "old_garbage"}) {
    const auto verifier = MakeLocalVerifier(Local());
    CHECK(Says(verifier->Verify(ProofOf("exact h.ne'"), In(30))) == "SCORED 1");
    INFO(word);
    CHECK(Says(verifier->Verify(ProofOf(std::string("exact ") + word), In(30))) == "SCORED 1");
  }
}

TEST_CASE("a proof that hangs delays nobody who has another process", "[reward_lean]") {
  LocalOptions options = Local("", 2);
  options.proof_timeout = std::chrono::seconds(5);
  options.second_check = false;
  const auto verifier = MakeLocalVerifier(options);
  const lean::Proof hangs = ProofOf("exact fault_hang");
  std::string said;
  std::thread hanging([&] { said = Says(verifier->Verify(hangs, In(30))); });
  const TimePoint start = SystemClock::Get().Now();
  for (int i = 0; i < 5; ++i)
    CHECK(Says(verifier->Verify(ProofOf("exact h.ne'"), In(30))) == "SCORED 1");
  CHECK(SystemClock::Get().Now() - start < std::chrono::seconds(5));
  hanging.join();
  CHECK(said == "TIMEOUT 0");
}

TEST_CASE("a verifier comes out of a configuration", "[reward_lean]") {
  v1::LeanSpec spec;
  const ReplOptions repl = FakeRepl({"prove"});
  for (const std::string& a : repl.process.argv) spec.add_command(a);
  for (const std::string& e : repl.process.environment) spec.add_environment(e);
  spec.set_memory_gib(0.5);
  spec.set_processes(1);
  spec.set_proof_timeout_seconds(2);
  const auto local = FromSpec(spec);
  REQUIRE_OK(local);
  CHECK(Says((*local)->Verify(ProofOf("exact h.ne'"), In(30))) == "SCORED 1");
  CHECK(Says((*local)->Verify(ProofOf("exact fault_hang"), In(30))) == "TIMEOUT 0");
  CHECK(Says((*local)->Verify(ProofOf("exact fault_memory"), In(30))) == "OUT_OF_MEMORY 0");

  const auto message = [&](const std::function<void(v1::LeanSpec&)>& change) {
    v1::LeanSpec other = spec;
    change(other);
    const absl::Status status = FromSpec(other).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  CHECK(absl::StrContains(message([](auto& s) { s.clear_command(); }), "command or a server"));
  CHECK(absl::StrContains(message([](auto& s) { s.mutable_server()->set_url("http://a"); }),
                          "command or a server"));
  CHECK(absl::StrContains(message([](auto& s) { s.set_processes(-1); }), "lean.processes"));
  CHECK(absl::StrContains(message([](auto& s) { s.set_memory_gib(-1); }), "lean.memory_gib"));
  CHECK(absl::StrContains(message([](auto& s) { s.add_environment("PATH"); }), "NAME=value"));
  CHECK(absl::StrContains(message([](auto& s) {
                            s.clear_command();
                            s.mutable_server()->set_url("a");
                          }),
                          "lean.server"));
}

// ---- the scorer

v1::ScoreItem Item(const std::string& completion, const std::string& header,
                   const std::string& formal) {
  v1::ScoreItem item;
  item.set_completion(completion);
  item.set_finish_reason(v1::FINISH_REASON_STOP_TOKEN);
  auto& fields = *item.mutable_prompt()->mutable_metadata()->mutable_fields();
  if (!header.empty()) fields["header"].set_string_value(header);
  if (!formal.empty()) fields["formal_statement"].set_string_value(formal);
  return item;
}

TEST_CASE("the scorer reads the last block after the thoughts", "[reward_lean]") {
  CHECK(LeanCode("a\n```lean\nx\n```\nb\n```lean4\ny\nz\n```\nc") == "y\nz\n");
  CHECK(LeanCode("  ```Lean\nx\n  ```") == "x\n");
  CHECK(LeanCode("```python\nx\n```") == "```python\nx\n```");
  CHECK(LeanCode("by simp") == "by simp");
  CHECK_FALSE(LeanCode("```lean\nx\n```\n```lean\ny").has_value());

  const auto verifier = MakeLocalVerifier(Local());
  Registry registry;
  REQUIRE_OK(RegisterLeanScorers(registry, verifier.get()));
  v1::RewardSpec spec;
  spec.add_scorers()->set_name("lean");
  const absl::StatusOr<RewardFunction> function = RewardFunction::Create(spec, registry);
  REQUIRE_OK(function);
  CHECK(function->blocks());
  const auto says = [&](const v1::ScoreItem& item) {
    return Says(function->Score(item, In(60)).parts(0));
  };
  const std::string whole = "theorem X (x : ℝ) (h : x > 0) : x ≠ 0 := by\n  exact h.ne'\n";
  const std::string thoughts =
      "<think>\n```lean\nsorry\n```\n</think>\nSo:\n```lean4\n" + whole + "```\n";
  CHECK(says(Item(thoughts, testing::kHeader, testing::kStatement)) == "SCORED 1");
  CHECK(says(Item("```lean\n" + whole, testing::kHeader, testing::kStatement)) == "UNPARSED 0");
  CHECK(says(Item("<think>\n" + whole, testing::kHeader, testing::kStatement)) == "UNPARSED 0");
  CHECK(says(Item("exact h.ne'", testing::kHeader, testing::kStatement)) == "SCORED 1");
  CHECK(says(Item("native_decide", testing::kHeader, testing::kStatement)) == "SCORED 0");
  CHECK(says(Item(whole, testing::kHeader, "")) == "BAD_REFERENCE 0");
  CHECK(says(Item(whole, testing::kHeader, "theorem X")) == "BAD_REFERENCE 0");
  CHECK(says(Item(std::string(300 << 10, 'x'), testing::kHeader, testing::kStatement)) ==
        "BUDGET 0");
  const auto bad = [&](const char* options) {
    v1::RewardSpec other = spec;
    REQUIRE(google::protobuf::util::JsonStringToMessage(options,
                                                        other.mutable_scorers(0)->mutable_options())
                .ok());
    return RewardFunction::Create(other, registry).status().code();
  };
  CHECK(bad("{\"header\": 3}") == absl::StatusCode::kInvalidArgument);
  CHECK(bad("{\"heeder\": \"\"}") == absl::StatusCode::kInvalidArgument);
  Registry without;
  REQUIRE_OK(RegisterLeanScorers(without, nullptr));
  CHECK_CODE(RewardFunction::Create(spec, without), absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("the same proof gets the same reason", "[reward_lean]") {
  const auto verifier = MakeLocalVerifier(Local());
  for (const char* body :
       {"exact h.ne'", "exact say_error", "exact say_axiom", "exact fault_crash"}) {
    const std::string first = verifier->Verify(ProofOf(body), In(30)).reason();
    CHECK(verifier->Verify(ProofOf(body), In(30)).reason() == first);
    CHECK_FALSE(first.empty());
  }
}

// ---- recorded answers of a Kimina server, played by a REPL and by a server

struct Recorded {
  std::string name, file, header, formal;
  json result;
};

std::vector<Recorded> ReadRecorded(const fs::path& folder) {
  std::vector<Recorded> all;
  for (const auto& entry : fs::directory_iterator(folder / "input")) {
    Recorded r;
    r.file = *ReadFile(entry.path(), 1 << 20);
    const std::string out =
        *ReadFile(folder / "output" / (entry.path().stem().string() + ".json"), 1 << 20);
    r.result = json::parse(out)["results"][0];
    const size_t theorem = r.file.find("\ntheorem ") + 1;
    const size_t proof = r.file.find(":= by", theorem) + 5;
    r.name = r.file.substr(theorem + 8, r.file.find_first_of(" \n:", theorem + 8) - theorem - 8);
    const size_t context = std::min(r.file.rfind("\n\n", theorem), theorem);
    r.header = r.file.substr(0, context);
    r.formal = r.file.substr(theorem, proof - theorem);
    all.push_back(std::move(r));
  }
  return all;
}

// How often each verdict was said of the recorded proofs, whose files are the completions.
std::map<std::string, int> VerdictsOn(const std::vector<Recorded>& records,
                                      LeanVerifier& verifier) {
  Registry registry;
  REQUIRE_OK(RegisterLeanScorers(registry, &verifier));
  v1::RewardSpec spec;
  spec.add_scorers()->set_name("lean");
  const absl::StatusOr<RewardFunction> function = RewardFunction::Create(spec, registry);
  REQUIRE_OK(function);
  std::map<std::string, int> counts;
  for (const Recorded& r : records) {
    const std::string completion = "```lean4\n" + r.file + "\n```";
    const v1::Verdict verdict = function->Score(Item(completion, r.header, r.formal), In(60));
    const std::string says = Says(verdict.parts(0));
    INFO(r.name << ": " << verdict.parts(0).reason());
    CHECK(says == (r.result["error"].is_null() ? "SCORED 1" : "TIMEOUT 0"));
    ++counts[says];
  }
  return counts;
}

TEST_CASE("recorded proofs get the verdicts that were recorded", "[reward_lean]") {
  const char* data = std::getenv("HONE_DATA");
  if (data == nullptr) HONE_SKIP("HONE_DATA is not set");
  const fs::path folder = fs::path(data) / "lean/kimina";
  const std::vector<Recorded> records = ReadRecorded(folder);
  REQUIRE(records.size() == 102);
  const std::map<std::string, int> want{{"SCORED 1", 98}, {"TIMEOUT 0", 4}};

  SECTION("by a REPL") {
    LocalOptions options = Local();
    options.pool.repl = FakeRepl({"prove", folder});
    options.second_check = false;  // which starts a process for each yes
    options.proof_timeout = std::chrono::milliseconds(1500);
    const auto verifier = MakeLocalVerifier(options);
    CHECK(VerdictsOn(records, *verifier) == want);
  }
  SECTION("by a server") {
    std::map<std::string, json> answers;
    for (const Recorded& r : records) answers[r.name] = r.result;
    testing::Server server([&](const testing::ServerRequest& request) {
      const json asked = json::parse(request.body);
      const std::string text = asked["codes"][0]["proof"];
      const size_t begin = text.find('\n', text.find("honeBegin_"));
      const size_t at = text.find("theorem ", begin) + 8;
      json result = answers.at(text.substr(at, text.find_first_of(" \n:", at) - at));
      result["custom_id"] = asked["codes"][0]["custom_id"];
      if (result["error"].is_null()) {
        const size_t report = text.find("#print axioms _root_.");
        const std::string name = text.substr(report + 21, text.find('\n', report) - report - 21);
        result["response"]["messages"].push_back(
            {{"severity", "info"},
             {"pos",
              {{"line",
                1 + std::count(text.begin(), text.begin() + static_cast<long>(report), '\n')},
               {"column", 0}}},
             {"data", "'" + name + "' depends on axioms: [propext, Quot.sound]"}});
      }
      return testing::ServerReply{200, json{{"results", {result}}}.dump()};
    });
    auto endpoint = http::Endpoint::Create({.url = server.url()});
    REQUIRE_OK(endpoint);
    const auto verifier = MakeRemoteVerifier(*std::move(endpoint), {});
    CHECK(VerdictsOn(records, *verifier) == want);
    CHECK(server.requests() == 98 * 2 + 4);  // each yes was asked for twice
  }
}

TEST_CASE("a server is believed as little as a process", "[reward_lean]") {
  std::string id = "";        // what it calls the proof; empty: as asked
  std::string response = "";  // a JSON object with $NAME and $LINE
  int code = 200;
  std::set<std::string> marks;
  testing::Server server([&](const testing::ServerRequest& request) {
    const json asked = json::parse(request.body);
    const std::string text = asked["codes"][0]["proof"];
    CHECK(request.path == "/verify");
    CHECK(asked["timeout"].get<double>() >= 1);
    const size_t report = text.find("#print axioms _root_.");
    const std::string name = text.substr(report + 21, text.find('\n', report) - report - 21);
    marks.insert(name);
    std::string body = response;
    const auto put = [&](const std::string& what, const std::string& by) {
      if (const size_t at = body.find(what); at != std::string::npos)
        body.replace(at, what.size(), by);
    };
    put("$NAME", name);
    put("$LINE", std::to_string(
                     1 + std::count(text.begin(), text.begin() + static_cast<long>(report), '\n')));
    put("$ID", id.empty() ? asked["codes"][0]["custom_id"].get<std::string>() : id);
    return testing::ServerReply{code, body};
  });
  http::EndpointOptions options{.url = server.url(), .attempts = 2, .max_reply_bytes = 10'000};
  options.first_pause = std::chrono::milliseconds(1);
  options.breaker_failures = 100;
  auto endpoint = http::Endpoint::Create(options);
  REQUIRE_OK(endpoint);
  const auto verifier = MakeRemoteVerifier(*std::move(endpoint), {});
  const auto says = [&](std::string r) {
    response = std::move(r);
    return Says(verifier->Verify(ProofOf("exact h.ne'"), In(20)));
  };
  const std::string yes =
      R"({"results": [{"custom_id": "$ID", "error": null, "response": {"messages": [
          {"severity": "info", "pos": {"line": $LINE, "column": 0}, "data": "'$NAME' depends on axioms: [propext]"}]}}]})";
  CHECK(says(yes) == "SCORED 1");
  CHECK(marks.size() == 2);  // two runs, two marks
  CHECK(says(R"({"results": [{"custom_id": "$ID", "error": "Lean process timed out"}]})") ==
        "TIMEOUT 0");
  CHECK(says(R"({"results": [{"custom_id": "$ID", "error": "out of memory"}]})") ==
        "OUT_OF_MEMORY 0");
  for (const char* unavailable :
       {R"({"results": [{"custom_id": "$ID", "error": "no REPL"}]})", R"({"results": []})", "",
        "[]", "<html>", R"({"results": [{"custom_id": "$ID", "response": {"env": 0}}]})",
        R"({"results": [{"custom_id": "$ID", "response": {"message": "x"}}]})",
        R"({"results": [{"custom_id": "$ID", "response": {"messages": [
            {"severity": "info", "pos": {"line": $LINE, "column": 0}, "data": "'hone_check' depends on axioms: []"}]}}]})"})
    CHECK(says(unavailable) == "VERIFIER_UNAVAILABLE 0");
  CHECK(says(std::string(20'000, ' ')) == "VERIFIER_UNAVAILABLE 0");
  id = "another";
  CHECK(says(yes) == "VERIFIER_UNAVAILABLE 0");
  id = "";
  code = 500;
  CHECK(says(yes) == "VERIFIER_UNAVAILABLE 0");
  code = 401;
  CHECK(says(yes) == "VERIFIER_UNAVAILABLE 0");
}

}  // namespace
}  // namespace hone::lean
