#include "libs/reward/code/problem.h"

#include "tests/reward/items.h"

namespace hone::code {
namespace {

absl::StatusOr<Problem> Read(const std::string& prompt_json, const std::string& language = "auto") {
  return ReadProblem(hone::testing::Item("", prompt_json).prompt(), language);
}

TEST_CASE("The forms of data sets are told apart by their fields") {
  auto p = Read(
      R"({"text": "def f(x):\n", "metadata": {"test": "def check(c): pass", "entry_point": "f"}})");
  REQUIRE_OK(p);
  CHECK(p->form == Form::kCheck);
  CHECK(p->prompt == "def f(x):\n");

  p = Read(
      R"json({"text": "Write f.", "metadata": {"test_list": ["assert f(1) == 2"], "code": "import re\ndef f(x):\n  pass\nclass N(object): pass",
               "test_setup_code": "n = N()", "challenge_test_list": ["assert f(2) == 3"]}})json");
  REQUIRE_OK(p);
  CHECK(p->form == Form::kAssertions);
  CHECK(p->own_names == std::vector<std::string>{"f", "N"});
  // What the reference imports is imported for the tests as well.
  CHECK(p->tests == std::vector<std::string>{"try:\n    import re\nexcept ImportError:\n    pass\n",
                                             "n = N()", "assert f(1) == 2", "assert f(2) == 3"});

  p = Read(
      R"json({"text": "long f(long x) {\n", "metadata": {"language": "cpp", "tests": "}\nint main() {}", "stop_tokens": ["\n}"]}})json");
  REQUIRE_OK(p);
  CHECK(p->form == Form::kMultiPl);
  CHECK(p->language == Language::kCpp);
  CHECK(p->entry_point == "f");
}

TEST_CASE("A raw code prompt is found in a prompt of words") {
  const char* metadata = R"("metadata": {"test": "t", "entry_point": "f")";
  auto p = Read(
      std::string(
          R"({"text": "<user>Complete:\n```python\nimport os\ndef f(x):\n```\n<assistant>", )") +
      metadata + "}}");
  REQUIRE_OK(p);
  CHECK(p->prompt == "import os\ndef f(x):\n");
  p = Read(std::string(R"({"text": "words", )") + metadata + R"(, "code_prompt": "def f(x):\n"}})");
  REQUIRE_OK(p);
  CHECK(p->prompt == "def f(x):\n");
}

TEST_CASE("Cases of programs come in the shapes of the data sets") {
  for (
      const char* metadata :
      {R"({"tests": {"inputs": ["1\n", "2\n"], "outputs": ["a", "b"]}})",
       R"({"tests": "{\"inputs\": [\"1\\n\", \"2\\n\"], \"outputs\": [\"a\", \"b\"]}"})",
       R"({"input_output": "{\"inputs\": [\"1\\n\", \"2\\n\"], \"outputs\": [[\"a\"], \"b\"]}"})",
       R"({"tests": [{"input": "1\n", "output": "a"}, {"input": "2\n", "output": "b"}]})",
       R"({"public_tests": {"input": ["1\n"], "output": ["a"]}, "private_tests": {"input": ["2\n"], "output": ["b"]}})"}) {
    INFO(metadata);
    const auto p = Read(std::string(R"({"text": "t", "metadata": )") + metadata + "}");
    REQUIRE_OK(p);
    CHECK(p->form == Form::kPrograms);
    CHECK(p->any_language);
    REQUIRE(p->cases.size() == 2);
    CHECK(p->cases[0].input == "1\n");
    CHECK(p->cases[0].output == "a");
    CHECK(p->cases[1].output == "b");
  }
}

TEST_CASE("Unusable prompts are refused with the field") {
  for (const auto& [metadata, words] : std::vector<std::pair<std::string, std::string>>{
           {"{}", "has no tests"},
           {R"({"test": "x", "entry_point": ""})", "metadata.entry_point"},
           {R"({"test": 5, "entry_point": "f"})", "metadata.test"},
           {R"({"test_list": "assert"})", "metadata.test_list"},
           {R"({"test_list": []})", "metadata.test_list"},
           {R"({"tests": {"inputs": ["1"], "outputs": []}})", "as many inputs as outputs"},
           {R"({"tests": [{"input": 1, "output": "2"}]})", "`input` and `output`"},
           {R"({"input_output": "{broken"})", "metadata.input_output"},
           {R"({"input_output": {"fn_name": "f", "inputs": [], "outputs": []}})", "not supported"},
           {R"({"tests": "int main() {}", "language": "cobol"})", "unknown language"},
           {R"({"tests": "int main() {}", "language": "cpp"})", "does not end in the head"}}) {
    INFO(metadata);
    const auto p = Read(R"({"text": "t", "metadata": )" + metadata + "}");
    CHECK_CODE(p, absl::StatusCode::kInvalidArgument);
    CHECK(std::string(p.status().message()).find(words) != std::string::npos);
  }
}

}  // namespace
}  // namespace hone::code
