#include "libs/buffer/prompt_lines.h"
#include "tests/buffer/world.h"

namespace hone::testing {
namespace {

using Code = absl::StatusCode;

TEST_CASE("A prompt line becomes a prompt", "[buffer]") {
  absl::StatusOr<v1::Prompt> p = ParsePromptLine(
      R"({"prompt": "2+2?", "answer": 4, "numbers": [1, 2.5, "x", null, true], "level": {"a": 1}})",
      17);
  REQUIRE_OK(p);
  CHECK(p->id() == "17");
  CHECK(p->text() == "2+2?");
  CHECK(p->answer() == "4");
  const auto& fields = p->metadata().fields();
  REQUIRE(fields.size() == 2);
  CHECK(fields.at("numbers").list_value().values(1).number_value() == 2.5);
  CHECK(fields.at("level").struct_value().fields().at("a").number_value() == 1);
  CHECK(ParsePromptLine(R"({"text": "t", "answer": 0.5, "id": 3, "response": "r"})", 1)->answer() ==
        "0.5");
  CHECK(ParsePromptLine(R"({"text": "t", "id": "é"})", 1)->id() == "é");
  const std::string messages =
      R"([{"role":"user","content":"2+2?"},{"role":"assistant","content":"4","z":1,"a":2}])";
  for (const char* field : {"messages", "prompt"}) {
    p = ParsePromptLine("{\"" + std::string(field) + "\": " + messages + "}", 1);
    REQUIRE_OK(p);
    CHECK(p->messages() == messages);  // members keep their order: templates print them
    CHECK(p->text() == "2+2?");
  }
}

TEST_CASE("A bad prompt line says what is wrong", "[buffer]") {
  auto check = [](const std::string& line, const std::string& want) {
    INFO(line);
    absl::StatusOr<v1::Prompt> p = ParsePromptLine(line, 1);
    CHECK_CODE(p, Code::kInvalidArgument);
    CHECK_THAT(std::string(p.status().message()), Catch::Matchers::Contains(want));
  };
  check("{", "not JSON");
  check("[1]", "is a JSON array, expected an object");
  check("{}", "has no \"prompt\"");
  check(R"({"prompt": ""})", "\"prompt\" is empty");
  check(R"({"prompt": 3})", "\"prompt\" is a number, expected a string");
  check(R"({"prompt": "a", "text": "b"})", "both");
  check(R"({"messages": []})", "\"messages\": expected a list of messages that is not empty");
  check(R"({"messages": "hi"})", "expected a list of messages");
  check(R"({"prompt": [{"role": "user"}]})", "\"prompt\": message 0 has no \"content\"");
  check(R"({"messages": [{"content": "hi"}]})", "message 0 has no \"role\"");
  check(R"({"messages": [{"role": "system", "content": "hi"}]})", "no message of the user");
  check(R"({"prompt": "a", "messages": [{"role": "user", "content": "hi"}]})",
        "both a prompt and messages");
  check(R"({"prompt": "a", "answer": []})", "\"answer\" is a array, expected a string");
  check(R"({"prompt": "a", "id": 1.5})", "expected a string or an integer");
  check("{\"prompt\": \"\xff\"}", "not JSON");
  check("{\"prompt\": \"a\", \"x\": " + std::string(100'000, '[') + "}", "nested");
}

TEST_CASE("Uploads are resumed where they broke off, and bad chunks leave nothing", "[buffer]") {
  World w;
  Buffer& b = w.buffer();
  REQUIRE_OK(b.CreatePromptSet("s"));
  const std::string one = "{\"prompt\": \"a\"}\n\n{\"prompt\": \"b\"}\n";
  const std::string two = "{\"prompt\": \"c\"}\n";
  REQUIRE_OK(b.AppendPrompts("s", 0, one));
  CHECK_CODE(b.AppendPrompts("s", 0, one), Code::kOutOfRange);
  const int64_t at = static_cast<int64_t>(one.size());
  absl::StatusOr<v1::PromptSet> bad =
      b.AppendPrompts("s", at, "{\"prompt\": \"x\"}\n{\"prompt\"\n");
  CHECK_CODE(bad, Code::kInvalidArgument);
  CHECK_THAT(std::string(bad.status().message()), Catch::Matchers::Contains("line 5: not JSON"));
  CHECK_CODE(b.AppendPrompts("s", at, "{\"prompt\": \"x\"}"), Code::kInvalidArgument);
  CHECK_CODE(b.AppendPrompts("s", at, "{\"prompt\": \"x\", \"id\": 1}\n"), Code::kInvalidArgument);
  CHECK_CODE(b.AppendPrompts("s", at, "{\"prompt\":\"x\",\"id\":9}\n{\"prompt\":\"y\",\"id\":9}\n"),
             Code::kInvalidArgument);
  w.Kill();
  CHECK(w.buffer().prompt_sets().Get("s")->committed_bytes() == at);
  REQUIRE_OK(w.buffer().AppendPrompts("s", at, two));
  v1::SealPromptSetRequest seal;
  seal.set_id("s");
  seal.set_sha256(std::string(64, '0'));
  CHECK_CODE(w.buffer().SealPromptSet(seal), Code::kDataLoss);
  seal.set_sha256("");
  absl::StatusOr<v1::PromptSet> sealed = w.buffer().SealPromptSet(seal);
  REQUIRE_OK(sealed);
  CHECK(sealed->prompts() == 3);
  // printf '{"prompt": "a"}\n\n{"prompt": "b"}\n{"prompt": "c"}\n' | sha256sum
  CHECK(sealed->sha256() == "c1fa9e36a869b8e636c00f1d293178e231f6f4ffdad32b50cd0358d7390f27ff");
  seal.set_sha256(sealed->sha256());
  REQUIRE_OK(w.buffer().SealPromptSet(seal));
  CHECK_CODE(w.buffer().AppendPrompts("s", sealed->committed_bytes(), two),
             Code::kFailedPrecondition);
  std::vector<std::string> ids;
  REQUIRE_OK(w.buffer().prompt_sets().Read("s", 1, 0, [&](v1::Prompt p) {
    ids.push_back(p.id());
    return true;
  }));
  CHECK(ids == std::vector<std::string>{"3", "4"});
}

TEST_CASE("Prompt sets that a live run uses stay", "[buffer]") {
  World w;
  CHECK_CODE(w.buffer().DeletePromptSet("train"), Code::kFailedPrecondition);
  REQUIRE_OK(w.buffer().CancelRun("r"));
  REQUIRE_OK(w.buffer().DeletePromptSet("train"));
  CHECK_CODE(w.buffer().prompt_sets().Get("train"), Code::kNotFound);
  CHECK_CODE(w.buffer().DeletePromptSet("train"), Code::kNotFound);
  CHECK_CODE(w.buffer().CreatePromptSet("No/good"), Code::kInvalidArgument);
}

}  // namespace
}  // namespace hone::testing
