#include "libs/reward/code/extract.h"

#include "tests/reward/items.h"

namespace hone::code {
namespace {

using hone::testing::Item;
using hone::testing::ThreadSeconds;

Problem PythonProblem() {
  Problem p;
  p.form = Form::kCheck;
  p.prompt = "import math\n\n\ndef f(x):\n    \"\"\"Doubles x.\"\"\"\n";
  p.entry_point = "f";
  p.tests = {"def check(candidate): pass"};
  return p;
}

std::string Source(const Problem& p, const std::string& completion,
                   Extraction extraction = Extraction::kAuto) {
  std::string why;
  const auto found = ExtractProgram(Item(completion), p, extraction, &why);
  return found.has_value() ? found->source : "none: " + why;
}

TEST_CASE("Fences are found by lines") {
  const auto fences = FindFences(
      "a ``` b\n```python\nx\n```\n  ~~~\n  ````C++ title\n   y\n  ```\n  ````\n```\nopen\n");
  REQUIRE(fences.size() == 3);
  CHECK(fences[0].tag == "python");
  CHECK(fences[0].code == "x\n");
  CHECK(fences[1].tag == "c++");
  CHECK(fences[1].code == " y\n```\n");
  CHECK(fences[2].tag == "");
  CHECK(fences[2].code == "open\n\n");
}

TEST_CASE("A bare continuation gets the prompt, a whole function what stands before it") {
  const Problem p = PythonProblem();
  CHECK(Source(p, "    return 2 * x\n") == p.prompt + "    return 2 * x\n");
  CHECK(Source(p, "\n    return 2 * x\n") == p.prompt + "    return 2 * x\n");
  CHECK(Source(p, "def f(x):\n    return 2 * x") == "import math\n\n\ndef f(x):\n    return 2 * x");
  CHECK(Source(p, "```python\ndef f(x):\n    return 2 * x\n```") ==
        "import math\n\n\ndef f(x):\n    return 2 * x\n");
  CHECK(Source(p, "```python\n    return 2 * x\n```") == p.prompt + "    return 2 * x\n");
}

TEST_CASE(
    "The last block that defines the function counts, of the right language, after the thoughts") {
  const Problem p = PythonProblem();
  const std::string text =
      "<think>```python\ndef f(x): return 0\n```</think>First\n```python\ndef f(x): return 1\n```\n"
      "then\n```py\ndef f(x): return 2\n```\nused as\n```python\nprint(f(3))\n```\nor\n"
      "```js\nfunction f(x) {}\n```\n";
  CHECK(Source(p, text) == "import math\n\n\ndef f(x): return 2\n");
  CHECK(Source(p, "<think>```python\ndef f(x): return 0\n```") == "none: the thoughts do not end");
  CHECK(Source(p, "```js\nfunction f(x) {}\n```") == "none: no code block of python");
  CHECK(Source(p, "    return x", Extraction::kFenced) == "none: no code block");
  CHECK(Source(p, " \n ") == "none: no program");
  CHECK(Source(p, "```python\n```") == "none: no code block of python");
}

TEST_CASE(
    "MultiPL-E continuations end at the first stop text, with the brace that the tests expect") {
  Problem p;
  p.form = Form::kMultiPl;
  p.language = Language::kCpp;
  p.prompt = "#include <vector>\nlong f(long x) {\n";
  p.entry_point = "f";
  p.tests = {"}\nint main() {}\n"};
  p.stop = {"\n}"};
  CHECK(Source(p, "  return f(x - 1);\n}\nlong g() {") == p.prompt + "  return f(x - 1);\n}\n");
  p.stop.clear();
  CHECK(Source(p, "  if (x) {\n  }\n  return 0;\n}\n") ==
        p.prompt + "  if (x) {\n  }\n  return 0;\n}\n");
  CHECK(Source(p, "```cpp\nlong f(long x) { return x; }\n```") ==
        "#include <vector>\nlong f(long x) { return x; }\n");
  CHECK(Source(p, "```cpp\n#include <map>\nlong f(long x) { return x; }\n```") ==
        "#include <map>\nlong f(long x) { return x; }\n");
}

TEST_CASE("Definitions are told from uses") {
  CHECK(Defines("x = 1\ndef f(a):\n", "f", Language::kPython));
  CHECK(Defines("async def f(a):\n", "f", Language::kPython));
  CHECK(Defines("f = lambda x: x\n", "f", Language::kPython));
  CHECK_FALSE(Defines("  def f(self): pass", "f", Language::kPython));
  CHECK_FALSE(Defines("f == 1", "f", Language::kPython));
  CHECK_FALSE(Defines("def ff(): f(1)", "f", Language::kPython));
  CHECK(Defines("std::vector<int> f(int a) {", "f", Language::kCpp));
  CHECK(Defines("int *f(int a) const {", "f", Language::kCpp));
  CHECK_FALSE(Defines("return f(a - 1) + f(a);", "f", Language::kCpp));
  CHECK_FALSE(Defines("if (f(a)) {", "f", Language::kCpp));
  CHECK(Defines("const f = (a) => a;", "f", Language::kJavaScript));
  CHECK(Defines("function f(a) {", "f", Language::kJavaScript));
  CHECK_FALSE(Defines("  return f(a);", "f", Language::kJavaScript));
  CHECK(Defines("f() {", "f", Language::kShell));
  CHECK(Defines("function f {", "f", Language::kShell));
  CHECK_FALSE(Defines("x=$(f 1)", "f", Language::kShell));
}

TEST_CASE("The prompted function is read off the end of the prompt") {
  CHECK(PromptedFunction("#include <map>\nstd::map<int,int> f(std::string s) {\n",
                         Language::kCpp) == "f");
  CHECK(PromptedFunction("function g(a, b){\n", Language::kJavaScript) == "g");
  CHECK(PromptedFunction("# h\nh() {\n", Language::kShell) == "h");
  CHECK(PromptedFunction("import x\ndef k(a):\n  \"\"\"d\"\"\"\n", Language::kPython) == "k");
  CHECK(PromptedFunction("just words", Language::kCpp).empty());
}

TEST_CASE("Hostile texts cost linear time") {
  const Problem p = PythonProblem();
  std::string text;
  for (const char* piece : {"f(", "f ", "def f", "```python\n", "```\n`", "f\n", "<think>"}) {
    text.clear();
    while (text.size() < (size_t{1} << 20)) text += piece;
    const double start = ThreadSeconds();
    Source(p, text);
    INFO(piece);
    CHECK(ThreadSeconds() - start < 1.0);
  }
}

}  // namespace
}  // namespace hone::code
