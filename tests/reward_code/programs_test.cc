#include "tests/reward_code/world.h"

namespace hone::testing {
namespace {

v1::ScoreItem Sums(const std::string& completion) {
  return Item(completion, R"({"text": "Add two numbers.", "metadata": {"tests": {
      "inputs": ["1 2\n", "10 -3\n", "0 0\n", "5 5\n"], "outputs": ["3\n", "7", "0", "10\n"]}}})");
}

TEST_CASE("Programs of every language read stdin and write stdout") {
  struct Case {
    const char* needs;
    const char* tag;
    const char* source;
  };
  // Without privilege files that a language looks for are there and refused; else they are missing.
  const CodeWorld world(4, GENERATE(sandbox::Level::kFiltered, sandbox::Level::kCgroups));
  for (const Case& c :
       {Case{"/usr/bin/python3", "python", "a, b = map(int, input().split())\nprint(a + b)"},
        Case{"/usr/bin/g++", "cpp",
             "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b; "
             "}"},
        Case{"/usr/bin/node", "javascript",
             "const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number);\n"
             "console.log(a + b);"},
        Case{"/bin/bash", "bash", "read a b\necho $((a + b))"}}) {
    if (!Has(c.needs)) {
      WARN("SKIPPED: there is no " << c.needs);
      continue;
    }
    INFO(c.tag);
    CHECK(Told(world.Function().Score(Sums(Fenced(c.tag, c.source)))) == "SCORED 1: 4 of 4 tests");
  }
}

TEST_CASE("The first failed case is told, and ends the matter unless fractions count") {
  HONE_NEED("/usr/bin/python3");
  const std::string wrong =
      Fenced("python", "a, b = map(int, input().split())\nprint(abs(a) + abs(b))");
  CHECK(Told(World().Function().Score(Sums(wrong))) ==
        "SCORED 0: 1 of 4 tests; case 2 of 4: wrote \"13\\n\", expected \"7\"");
  CHECK(World().Function(R"({"credit": "fraction"})").Score(Sums(wrong)).parts(0).value() == 0.75);
  CHECK(World().Function(R"({"max_tests": 1})").Score(Sums(wrong)).correct());
}

TEST_CASE("A program that fails has an outcome") {
  HONE_NEED("/usr/bin/python3");
  const RewardFunction function = World().Function(R"({"cpu_seconds": 1, "memory_mib": 256})");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"while True: pass", "TIMEOUT 0 counts"},
      {"x = bytearray(1 << 30)", "OUT_OF_MEMORY 0 counts"},
      {"while True: print('x' * 1000)", "OUTPUT_LIMIT 0 counts"},
      {"import os\nos.abort()", "CRASHED 0 counts"},
      {"print(3)\nraise SystemExit(3)",
       "SCORED 0: 0 of 4 tests; case 1 of 4: the program ended with exit code 3"},
      {"1 / 0",
       "SCORED 0: 0 of 4 tests; case 1 of 4: the program ended with exit code 1: "
       "ZeroDivisionError"}};
  for (const auto& [source, told] : cases) {
    INFO(source);
    const v1::Verdict v = function.Score(Sums(Fenced("python", source)));
    CHECK(Told(v).substr(0, told.size()) == told);
    CHECK(v.outcome() == v1::OUTCOME_SCORED);
  }
}

TEST_CASE("A fraction is kept where one case times out, and the outcome is seen") {
  HONE_NEED("/usr/bin/python3");
  const v1::Verdict v =
      World()
          .Function(R"({"cpu_seconds": 1, "credit": "fraction"})")
          .Score(Sums(Fenced(
              "python", "a, b = map(int, input().split())\nwhile a == 10: pass\nprint(a + b)")));
  CHECK(v.parts(0).outcome() == v1::OUTCOME_TIMEOUT);
  CHECK(v.parts(0).counts());
  CHECK(v.score() == 0.75);
}

}  // namespace
}  // namespace hone::testing
