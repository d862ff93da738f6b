#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "libs/reward/countdown_generator.h"
#include "nlohmann/json.hpp"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

std::vector<nlohmann::json> Lines(const std::string& path) {
  std::ifstream file(path);
  REQUIRE(file.good());
  std::vector<nlohmann::json> all;
  for (std::string line; std::getline(file, line);) all.push_back(nlohmann::json::parse(line));
  return all;
}

std::string Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

using Set = std::vector<int>;

Set SortedNumbers(const nlohmann::json& line) {
  Set numbers = line["numbers"];
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

TEST_CASE("the splits share out the 1140 sets of numbers", "[reward]") {
  std::map<CountdownSplit, int> count;
  for (int a = 1; a <= 20; ++a)
    for (int b = a + 1; b <= 20; ++b)
      for (int c = b + 1; c <= 20; ++c) {
        const CountdownSplit split = SplitOf({{a, b, c}, 0});
        ++count[split];
        CHECK(SplitOf({{c, a, b}, 9}) == split);
      }
  CAPTURE(count[CountdownSplit::kTrain], count[CountdownSplit::kValidation]);
  // Fixed by the hash: these never change, or old and new data sets leak into each other.
  CHECK(count[CountdownSplit::kTrain] == 769);
  CHECK(count[CountdownSplit::kValidation] == 178);
  CHECK(count[CountdownSplit::kTest] == 193);
}

TEST_CASE("the demo data keep their promises", "[reward]") {
  TempDir dir;
  CountdownDataOptions options;
  options.demonstrations = 3000;
  options.prompts = 2000;
  REQUIRE_OK(WriteCountdownData(dir.path() + "/data", options));
  std::map<std::string, std::vector<nlohmann::json>> files;
  std::map<std::string, std::set<Set>> sets;
  for (const char* name : {"sft", "rl", "validation", "test"}) {
    files[name] = Lines(dir.path() + "/data/" + name + ".jsonl");
    std::set<std::string> ids;
    for (const nlohmann::json& line : files[name]) {
      const Set n = line["numbers"];
      REQUIRE(n.size() == 3);
      sets[name].insert(SortedNumbers(line));
      ids.insert(line["id"]);
      const int target = line["target"];
      CHECK(line["answer"] == std::to_string(target));
      CHECK(line["prompt"] == "<bos><user>Use " + std::to_string(n[0]) + "," +
                                  std::to_string(n[1]) + "," + std::to_string(n[2]) + " to make " +
                                  std::to_string(target) + ".<assistant>");
      CHECK(std::find(n.begin(), n.end(), target) == n.end());
      CHECK(target >= 0);
      CHECK(target <= 60);
      CHECK(line.contains("response") == (std::string(name) == "sft"));
    }
    CHECK(ids.size() == files[name].size());
  }
  CHECK(files["sft"].size() == 3000);
  CHECK(files["rl"].size() == 2000);
  for (const char* held_out : {"validation", "test"}) {
    std::set<std::string> prompts;
    for (const nlohmann::json& line : files[held_out]) prompts.insert(line["prompt"]);
    CHECK(prompts.size() == 256);
  }
  for (const char* a : {"sft", "rl"})
    for (const char* b : {"validation", "test"})
      for (const Set& set : sets[b]) CHECK(sets[a].count(set) == 0);
  for (const Set& set : sets["validation"]) CHECK(sets["test"].count(set) == 0);
}

TEST_CASE("the demo data depend on the seed alone", "[reward]") {
  TempDir dir;
  CountdownDataOptions options;
  options.demonstrations = 50;
  options.prompts = 50;
  REQUIRE_OK(WriteCountdownData(dir.path() + "/a", options));
  REQUIRE_OK(WriteCountdownData(dir.path() + "/b", options));
  options.prompts = 10;
  REQUIRE_OK(WriteCountdownData(dir.path() + "/c", options));
  options.seed = 2;
  REQUIRE_OK(WriteCountdownData(dir.path() + "/d", options));
  for (const char* name : {"sft.jsonl", "validation.jsonl", "test.jsonl"}) {
    const std::string want = Bytes(dir.path() + "/a/" + name);
    CHECK(want == Bytes(dir.path() + "/b/" + name));
    CHECK(want == Bytes(dir.path() + "/c/" + name));  // the length of one file changes no other
    CHECK(want != Bytes(dir.path() + "/d/" + name));
  }
}

TEST_CASE("the generator draws the same everywhere", "[reward]") {
  CountdownGenerator generator(1, 0);
  const CountdownInstance instance = generator.Next(CountdownSplit::kTrain);
  CHECK(CountdownPrompt(instance) == "<bos><user>Use 13,8,1 to make 6.<assistant>");
  CHECK(generator.Demonstrate(instance) ==
        "<think>13-8=5-1=4no.13-8=5+1=6ok.</think><answer>13-8+1</answer><eos>");
}

TEST_CASE("wrong counts and unwritable folders are errors", "[reward]") {
  TempDir dir;
  CountdownDataOptions options;
  options.test = 2001;
  CHECK_CODE(WriteCountdownData(dir.path(), options), absl::StatusCode::kInvalidArgument);
  options.test = 2000;
  options.validation = 2000;
  options.demonstrations = options.prompts = 0;
  CHECK_OK(WriteCountdownData(dir.path(), options));
  options.prompts = -1;
  CHECK_CODE(WriteCountdownData(dir.path(), options), absl::StatusCode::kInvalidArgument);
  CHECK_FALSE(WriteCountdownData(dir.path() + "/test.jsonl/x", {}).ok());
}

}  // namespace
}  // namespace hone::testing
