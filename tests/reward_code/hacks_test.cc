#include "tests/reward_code/hacks.h"

#include "tests/reward_code/world.h"

namespace hone::testing {
namespace {

// The wall time is short for those that sleep; the CPU time decides of the others.
const std::string kOptions = R"({"cpu_seconds": 2, "wall_seconds": 5, "memory_mib": 512})";

v1::Verdict PythonSort(const std::string& source) {
  return World().Function(kOptions).Score(
      CheckItem("def f(x):\n    \"\"\"Sorts a list.\"\"\"\n", "f",
                "def check(candidate):\n"
                "    assert candidate([3, 1, 2]) == [1, 2, 3]\n"
                "    assert candidate([]) == []\n"
                "    assert candidate([5, 5, -1]) == [-1, 5, 5]\n"
                "    assert candidate([2, 1]) == [1, 2]\n",
                Fenced("python", source)));
}

v1::Verdict CppSort(const std::string& source) {
  return World().Function(kOptions).Score(MultiPlItem(
      "cpp",
      "#include <assert.h>\n#include <bits/stdc++.h>\nstd::vector<long> f(std::vector<long> x) {\n",
      "}\nint main() {\n    auto candidate = f;\n"
      "    assert(candidate((std::vector<long>({3, 1, 2}))) == (std::vector<long>({1, 2, 3})));\n"
      "    assert(candidate((std::vector<long>())) == (std::vector<long>()));\n"
      "    assert(candidate((std::vector<long>({5, -1, 5}))) == (std::vector<long>({-1, 5, "
      "5})));\n}\n",
      Fenced("cpp", source)));
}

// The outcome is the program's own doing, or a plain 0: nothing that would take the completion out
// of its group.
void CheckRefused(const Program& p, const v1::Verdict& verdict) {
  INFO(p.name << ": " << Told(verdict));
  CHECK_FALSE(verdict.correct());
  CHECK(verdict.outcome() == v1::OUTCOME_SCORED);
  CHECK(verdict.score() == 0);
}

TEST_CASE("No Python program passes without solving the problem, and honest ones pass") {
  HONE_NEED("/usr/bin/python3");
  for (const Program& p : PythonHonest()) {
    const v1::Verdict verdict = PythonSort(p.source);
    INFO(p.name << ": " << Told(verdict));
    CHECK(verdict.correct());
  }
  int tried = 0;
  for (const Program& p : PythonHacks()) {
    if (p.violent && World().sandbox().level() < sandbox::Level::kFiltered) {
      WARN("SKIPPED: " << p.name << ": this machine isolates nothing");
      continue;
    }
    CheckRefused(p, PythonSort(p.source));
    ++tried;
  }
  CHECK(tried >= 40);
}

TEST_CASE("What tests import, or should have, is never the program's to define") {
  HONE_NEED("/usr/bin/python3");
  const auto score = [](const std::string& program) {
    v1::ScoreItem item = Item(Fenced("python", program));
    REQUIRE(google::protobuf::util::JsonStringToMessage(
                R"json({"code": "from collections import Counter\ndef sum(x):\n    return 4.0\n",
                    "test_list": ["assert math.isclose(sum(2), 4.0)",
                                  "assert Counter([sum(2)]) == Counter([4.0])"]})json",
                item.mutable_prompt()->mutable_metadata())
                .ok());
    return World().Function(kOptions).Score(item);
  };
  CHECK(Told(score("def sum(x): return x + 2.0")) == "SCORED 1: 2 of 2 tests");
  CHECK_FALSE(score("class math:\n    isclose = staticmethod(lambda *a: True)\n"
                    "def Counter(x): return 0\ndef sum(x): return x")
                  .correct());
}

TEST_CASE("No C++ program passes without solving the problem, and honest ones pass") {
  HONE_NEED("/usr/bin/g++");
  for (const Program& p : CppHonest()) {
    const v1::Verdict verdict = CppSort(p.source);
    INFO(p.name << ": " << Told(verdict));
    CHECK(verdict.correct());
  }
  for (const Program& p : CppHacks()) CheckRefused(p, CppSort(p.source));
}

}  // namespace
}  // namespace hone::testing
