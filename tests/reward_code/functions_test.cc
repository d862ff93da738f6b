#include <thread>

#include "libs/reward/code/relay.h"
#include "libs/reward/code/sides.h"
#include "tests/reward_code/world.h"

namespace hone::testing {
namespace {

const std::string kPrompt = "def f(x):\n    \"\"\"Sorts a list.\"\"\"\n";
const std::string kTest =
    "def check(candidate):\n"
    "    assert candidate([3, 1, 2]) == [1, 2, 3]\n"
    "    assert candidate([]) == []\n"
    "    assert candidate([5, 5, -1]) == [-1, 5, 5]\n"
    "    assert candidate([2, 1]) == [1, 2]\n";

v1::Verdict Sorted(const std::string& completion, const std::string& options = "{}") {
  return World().Function(options).Score(CheckItem(kPrompt, "f", kTest, completion));
}

TEST_CASE("Python functions pass or fail their checks") {
  HONE_NEED("/usr/bin/python3");
  CHECK(Told(Sorted("    return sorted(x)\n")) == "SCORED 1: 4 of 4 tests");
  CHECK(Sorted("    return sorted(x)\n").correct());
  CHECK(Sorted(Fenced("python", "def f(x):\n    x.sort()\n    return x")).correct());
  CHECK(Told(Sorted("    return x\n")) ==
        "SCORED 0: 0 of 4 tests; candidate([3, 1, 2]) == [1, 2, 3]");
  CHECK(Told(Sorted("    raise KeyError('k')\n")).find("KeyError") != std::string::npos);
  CHECK(Told(Sorted("    return tuple(sorted(x))\n")).substr(0, 8) == "SCORED 0");
  CHECK(Told(Sorted("    return sort(")).find("does not load: SyntaxError") != std::string::npos);
  CHECK(Told(Sorted("Sorry.")).substr(0, 8) == "SCORED 0");
  CHECK(Told(Sorted("<think>hm")) == "UNPARSED 0: the thoughts do not end");
}

TEST_CASE("Tests are prepared once for all completions of a prompt, and judge them alike") {
  HONE_NEED("/usr/bin/python3");
  code::Host host(&World().sandbox(), "");
  code::Problem problem;
  problem.form = code::Form::kCheck;
  problem.prompt = "from typing import List\n" + kPrompt;
  problem.entry_point = "f";
  // A module and a helper of the program that the tests do not define, and a function that they do.
  problem.tests = {
      "def check(candidate):\n"
      "    assert math.isclose(candidate([3, 1])[0], 1.0)\n"
      "    assert helper(2) == 4\n"
      "    assert own([candidate([])]) == []\n"
      "def own(x):\n    return x[0]\n"};
  const auto judge = [&](const std::string& program) {
    const code::Sides sides =
        code::PythonSides(host, problem, program, /*every=*/true, {});
    return code::RunFunctionTest(host, sides.tester, sides.program, kNoDeadline);
  };
  const auto tests = code::PythonSides(host, problem, "", true, {}).tester.tests;
  REQUIRE(host.Prepared(tests) == "N");
  const std::string right = "def f(x):\n    return sorted(x)\ndef helper(x):\n    return x * x\n";
  const std::string wrong = "def f(x):\n    return x\ndef helper(x):\n    return x * x\n";
  for (const bool kept : {false, true}) {
    INFO(kept);
    CHECK((host.Prepared(tests) != "N") == kept);
    const code::Judgement good = judge(right);
    CHECK(good.passed == 3);
    CHECK(good.total == 3);
    const code::Judgement bad = judge(wrong);
    CHECK(bad.passed == 2);
    CHECK(bad.total == 3);
    CHECK(bad.reason == "math.isclose(candidate([3, 1])[0], 1.0)");
  }
}

TEST_CASE("Tests that cannot be compiled are nobody's failure") {
  HONE_NEED("/usr/bin/python3");
  const v1::Verdict v =
      World().Function().Score(CheckItem(kPrompt, "f", "return 3\n", "    return x\n"));
  CHECK(Told(v).substr(0, 13) == "BAD_REFERENCE");
}

TEST_CASE("A fraction of the tests counts where it is asked for") {
  HONE_NEED("/usr/bin/python3");
  const v1::Verdict v =
      Sorted("    return x if len(x) == 0 else sorted(set(x))\n", R"({"credit": "fraction"})");
  CHECK(v.parts(0).value() == 0.75);
  CHECK_FALSE(v.correct());
  CHECK(v.score() == 0.75);
}

TEST_CASE("What a program does to itself has an outcome and counts as 0") {
  HONE_NEED("/usr/bin/python3");
  const std::string options = R"({"cpu_seconds": 1, "memory_mib": 256})";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"    while True: pass\n", "TIMEOUT 0 counts"},
      {"    import os\n    os.abort()\n", "CRASHED 0 counts"},
      {"    while True: print('x' * 1000)\n", "OUTPUT_LIMIT 0 counts"},
      {"    import sys\n    sys.exit(0)\n", "SCORED 0: 0 of 4 tests"},
      {"    import os\n    os._exit(0)\n",
       "SCORED 0: 0 of 4 tests; the program ended with exit code 0"}};
  for (const auto& [body, told] : cases) {
    INFO(body);
    const v1::Verdict v = Sorted(body, options);
    CHECK(Told(v).substr(0, told.size()) == told);
    CHECK(v.outcome() == v1::OUTCOME_SCORED);  // of the verdict: it has a score, 0
    CHECK_FALSE(v.correct());
  }
  const v1::Verdict unscored =
      Sorted("    while True: pass\n", R"({"cpu_seconds": 1, "failures": "unscored"})");
  CHECK(Told(unscored).substr(0, 10) == "TIMEOUT 0:");
  CHECK(unscored.outcome() == v1::OUTCOME_TIMEOUT);
}

TEST_CASE("The caller's deadline is nobody's failure") {
  HONE_NEED("/usr/bin/python3");
  const RewardFunction function = World().Function();
  const TimePoint start = SystemClock::Get().Now();
  const v1::Verdict v =
      function.Score(CheckItem(kPrompt, "f", kTest, "    import time\n    time.sleep(60)\n"),
                     start + std::chrono::milliseconds(500));
  CHECK(v.parts(0).outcome() == v1::OUTCOME_TIMEOUT);
  CHECK_FALSE(v.parts(0).counts());
  CHECK(SystemClock::Get().Now() - start < std::chrono::seconds(20));
}

TEST_CASE("Tests that cannot be run are the prompt's fault") {
  HONE_NEED("/usr/bin/python3");
  const RewardFunction function = World().Function();
  CHECK(Said(function.Score(CheckItem(kPrompt, "f", "def check(", "    return x\n"))) ==
        "BAD_REFERENCE 0");
  CHECK(Said(function.Score(CheckItem("import no_such_module\n" + kPrompt, "f", kTest,
                                      "    return x\n"))) == "BAD_REFERENCE 0");
  CHECK(Said(function.Score(Item("    return x\n"))) == "BAD_REFERENCE 0");
}

TEST_CASE("Values of many types cross, and objects of the program can be handled") {
  HONE_NEED("/usr/bin/python3");
  const std::string test =
      "import collections, datetime, decimal, fractions, math\n"
      "def check(candidate):\n"
      "    for v in [None, True, -2**200, 1.5, float('inf'), 2j, 'text \\u00e9', b'bytes',\n"
      "              (1, [2, {3}]), frozenset({4}), {'k': (5,)}, range(3), "
      "decimal.Decimal('0.1'),\n"
      "              fractions.Fraction(1, 3), datetime.date(2020, 1, 2), collections.deque([1]), "
      "int]:\n"
      "        assert candidate(v) == v and type(candidate(v)) is type(v)\n"
      "    assert math.isnan(candidate(float('nan')))\n"
      "    assert candidate({'a': 1, 'a b': 2}) == collections.Counter({'a': 1, 'a b': 2})\n";
  CHECK(World().Function().Score(CheckItem("def f(x):\n", "f", test, "    return x\n")).correct());

  v1::ScoreItem item = Item(Fenced("python",
                                   "class Node:\n    def __init__(self, v):\n        self.v = v\n"
                                   "        self.next = None\n\ndef total(n):\n"
                                   "    return n.v + (total(n.next) if n.next else 0)\n\n"
                                   "def numbers(n):\n    return (i for i in range(n))\n"));
  REQUIRE(
      google::protobuf::util::JsonStringToMessage(
          R"json({"test_setup_code": "root = Node(1)\nroot.next = Node(2)\nroot.next.next = Node(3)",
                  "test_list": ["assert total(root) == 6", "assert list(numbers(3)) == [0, 1, 2]",
                                "assert root.next.v == 2", "assert root != 6"]})json",
          item.mutable_prompt()->mutable_metadata())
          .ok());
  CHECK(Told(World().Function().Score(item)) == "SCORED 1: 4 of 4 tests");
}

TEST_CASE("JavaScript functions") {
  HONE_NEED("/usr/bin/node");
  const std::string prompt = "//Sorts.\nfunction f(x){\n";
  const std::string tests =
      "const assert = require('node:assert');\nfunction test() {\n  let candidate = f;\n"
      "  assert.deepEqual(candidate([3,1,2]),[1,2,3]);\n  "
      "assert.deepEqual(candidate([]),[]);\n}\n\ntest();";
  const CodeWorld world(4, GENERATE(sandbox::Level::kFiltered, sandbox::Level::kCgroups));
  const auto score = [&](const std::string& completion, const std::string& options = "{}") {
    return world.Function(options).Score(MultiPlItem("js", prompt, tests, completion));
  };
  CHECK(Told(score("  return x.sort();\n}\n")) == "SCORED 1: 2 of 2 tests");
  CHECK(score(Fenced("js", "const f = (x) => [...x].sort();")).correct());
  CHECK(Told(score("  return x;\n}\n")).substr(0, 8) == "SCORED 0");
  CHECK(score("  return x;\n}\n", R"({"credit": "fraction"})").parts(0).value() == 0.5);
  CHECK(Told(score("  process.exit(0);\n}\n")).find("the program ended with exit code 0") !=
        std::string::npos);
  CHECK(Told(score("  return {then: 1, toString() { return '1,2,3'; }};\n}\n")).substr(0, 8) ==
        "SCORED 0");
  CHECK(
      Told(score("process.exit(0);\nconst assert = require('assert'); assert.deepEqual = () => {};"
                 "return x;\n}\n"))
          .substr(0, 8) == "SCORED 0");
}

TEST_CASE("Shell functions") {
  HONE_NEED("/bin/bash");
  const std::string prompt = "#!/bin/bash\n# $1 is a number\nf() {\n";
  const std::string tests =
      "}\n\ncandidate() {\n    f \"$@\"\n}\n\nset -e\nrun_test() {\n"
      "    [[ $(candidate \"2\") = \"even\" ]]\n    [[ $(candidate \"3\") = \"odd\" ]]\n"
      "    [[ $(candidate \"\") = \"\" ]]\n}\n\nrun_test";
  const auto score = [&](const std::string& completion) {
    return World().Function().Score(MultiPlItem("sh", prompt, tests, completion));
  };
  const std::string right =
      "f() {\n  [ -z \"$1\" ] && return\n  if (( $1 % 2 )); then echo odd; else echo even; fi\n}\n";
  CHECK(Told(score(Fenced("bash", right))) == "SCORED 1: 1 of 1 test");
  CHECK(Told(score("  echo even\n")).substr(0, 8) == "SCORED 0");
  for (const std::string& wrong :
       {std::string("trap 'exit 0' EXIT\nf() { echo; }"), std::string("f() { exit 0; }"),
        std::string("exit 0\nf() { :; }"), std::string("f() { kill -9 $$; }"),
        std::string("printf 'e3:1:11:10:' >&3\nf() { :; }"),
        std::string("f() { printf 'v2:1:04:even' >&3; }"),
        std::string("candidate() { echo even; }\nrun_test() { :; }\nf() { :; }")}) {
    INFO(wrong);
    CHECK_FALSE(score(Fenced("bash", wrong)).correct());
  }
}

TEST_CASE("C++ functions") {
  HONE_NEED("/usr/bin/g++");
  const std::string prompt =
      "#include<assert.h>\n#include<bits/stdc++.h>\n"
      "std::map<std::string,std::vector<long>> f(std::vector<std::tuple<std::string, long>> x, "
      "bool twice) {\n";
  const std::string tests =
      "}\nint main() {\n    auto candidate = f;\n    typedef "
      "std::map<std::string,std::vector<long>> M;\n"
      "    assert(candidate({{\"a\", 1}, {\"b\", 2}, {\"a\", -3}}, (false)) == (M({{\"a\", {1, "
      "-3}}, {\"b\", {2}}})));\n"
      "    assert(candidate({}, (true)) == M());\n"
      "    assert(candidate({{\"a\", 5}}, (true)) == (M({{\"a\", {5, 5}}})));\n}\n";
  const auto score = [&](const std::string& completion, const std::string& options = "{}") {
    return World().Function(options).Score(MultiPlItem("cpp", prompt, tests, completion));
  };
  const std::string body =
      "  std::map<std::string, std::vector<long>> m;\n  for (auto& [k, v] : x) {\n"
      "    m[k].push_back(v);\n    if (twice) m[k].push_back(v);\n  }\n  return m;\n";
  CHECK(Told(score(body + "}\n")) == "SCORED 1: 3 of 3 tests");
  CHECK(Told(score("  return {};\n}\n", R"({"credit": "fraction"})")).find("1 of 3 tests") !=
        std::string::npos);
  // Other types that fit, its own main(), reference parameters.
  CHECK(score(Fenced(
                  "cpp",
                  "#include <map>\n#include <string>\n#include <vector>\nusing namespace std;\n"
                  "map<string, vector<long>> f(const vector<tuple<string, long>>& x, int twice) {\n"
                  "  map<string, vector<long>> m;\n  for (const auto& [k, v] : x)\n"
                  "    for (int i = 0; i <= twice; ++i) m[k].push_back(v);\n  return m;\n}\n"
                  "int main() { return 1; }\n"))
            .correct());
  const v1::Verdict broken = score("  return 5;\n}\n");
  CHECK(Told(broken).substr(0, 22) == "COMPILE_ERROR 0 counts");
  CHECK(broken.outcome() == v1::OUTCOME_SCORED);
  CHECK(Told(score("  abort();\n}\n")).substr(0, 16) == "CRASHED 0 counts");
  CHECK(Told(score("  throw std::runtime_error(\"so\");\n}\n")).find("exception: so") !=
        std::string::npos);
}

TEST_CASE("Many callers at two slots do not wait for each other") {
  HONE_NEED("/usr/bin/python3");
  const CodeWorld world(2);
  const RewardFunction function = world.Function();
  const v1::ScoreItem right = CheckItem(kPrompt, "f", kTest, "    return sorted(x)\n");
  const v1::ScoreItem wrong = CheckItem(kPrompt, "f", kTest, "    return x\n");
  std::vector<std::thread> callers;
  std::atomic<int> correct = 0;
  for (int i = 0; i < 8; ++i)
    callers.emplace_back(
        [&, i] { correct += function.Score(i % 2 == 0 ? right : wrong).correct(); });
  for (std::thread& t : callers) t.join();
  CHECK(correct == 4);
}

}  // namespace
}  // namespace hone::testing
