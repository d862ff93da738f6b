// The data sets of $HONE_DATA/code: references pass, and other people's labels are reproduced,
// twice and on a machine that is busy with other things.

#include <zlib.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "nlohmann/json.hpp"
#include "tests/reward_code/world.h"

namespace hone::testing {
namespace {

using Json = nlohmann::json;

std::string DataFolder() {
  const char* folder = std::getenv("HONE_DATA");
  return folder == nullptr ? "" : std::string(folder) + "/code/";
}

std::string Inflated(const std::string& path) {
  std::string text;
  gzFile file = gzopen(path.c_str(), "rb");
  REQUIRE(file != nullptr);
  char buffer[1 << 16];
  for (int n = 0; (n = gzread(file, buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  gzclose(file);
  return text;
}

// Plain files as well as compressed ones.
std::vector<Json> Lines(const std::string& name) {
  std::istringstream in(Inflated(DataFolder() + name));
  std::vector<Json> rows;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) rows.push_back(Json::parse(line));
  return rows;
}

// The item of a row, as a prompt set's line would give it.
v1::ScoreItem RowItem(const Json& row, const std::string& prompt, const std::string& completion) {
  v1::ScoreItem item = Item(completion);
  item.mutable_prompt()->set_text(prompt);
  Json rest = row;
  for (const char* field : {"prompt", "text", "gpt_solution", "canonical_solution"})
    rest.erase(field);
  REQUIRE(google::protobuf::util::JsonStringToMessage(rest.dump(),
                                                      item.mutable_prompt()->mutable_metadata())
              .ok());
  return item;
}

// Scores all, two at a time, in order.
std::vector<v1::Verdict> ScoreAll(const std::vector<v1::ScoreItem>& items,
                                  const std::string& options = "{}") {
  const RewardFunction function = World().Function(options);
  std::vector<v1::Verdict> verdicts(items.size());
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (size_t i = next++; i < items.size(); i = next++) verdicts[i] = function.Score(items[i]);
    });
  for (std::thread& t : threads) t.join();
  return verdicts;
}

// Four busy threads for each processor.
class Overload {
 public:
  Overload() {
    for (unsigned i = 0; i < 4 * std::thread::hardware_concurrency(); ++i)
      threads_.emplace_back([this] {
        while (!stop_) continue;
      });
  }
  ~Overload() {
    stop_ = true;
    for (std::thread& t : threads_) t.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

int Correct(const std::vector<v1::ScoreItem>& items, const std::vector<v1::Verdict>& verdicts) {
  int correct = 0;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    correct += verdicts[i].correct();
    if (!verdicts[i].correct())
      std::printf("  not: %s: %s\n", items[i].prompt().id().c_str(), Told(verdicts[i]).c_str());
  }
  return correct;
}

TEST_CASE("HumanEval's references pass") {
  if (DataFolder().empty()) HONE_SKIP("HONE_DATA is not set");
  HONE_NEED("/usr/bin/python3");
  std::vector<v1::ScoreItem> items;
  for (const Json& row : Lines("HumanEval.jsonl.gz")) {
    items.push_back(RowItem(row, row["prompt"], row["canonical_solution"]));
    items.back().mutable_prompt()->set_id(row["task_id"]);
  }
  CHECK(Correct(items, ScoreAll(items)) == 164);
  CHECK(items.size() == 164);
  // Half a reference is none.
  for (v1::ScoreItem& item : items) item.set_completion("    return None\n");
  for (const v1::Verdict& v : ScoreAll(items)) CHECK_FALSE(v.correct());
}

TEST_CASE("MBPP's references pass") {
  if (DataFolder().empty()) HONE_SKIP("HONE_DATA is not set");
  HONE_NEED("/usr/bin/python3");
  std::vector<v1::ScoreItem> items;
  for (const Json& row : Lines("mbpp.jsonl")) {
    items.push_back(RowItem(row, row["text"], row["code"]));
    items.back().mutable_prompt()->set_id(row["task_id"].dump());
  }
  const int correct = Correct(items, ScoreAll(items));
  std::printf("MBPP references: %d of %zu\n", correct, items.size());
  CHECK(correct >= 972);
}

TEST_CASE("Labels are reproduced, twice and on a busy machine") {
  if (DataFolder().empty()) HONE_SKIP("HONE_DATA is not set");
  std::map<std::string, std::string> labels;  // by file and task
  for (const Json& row : Lines("labels_humaneval.jsonl"))
    labels[row["file"].get<std::string>() + row["task_id"].get<std::string>()] = row["status"];
  std::vector<v1::ScoreItem> items;
  std::vector<bool> wanted;
  for (const auto& [language, program] : std::map<std::string, const char*>{
           {"cpp", "/usr/bin/g++"}, {"js", "/usr/bin/node"}, {"sh", "/bin/bash"}}) {
    if (!Has(program)) {
      WARN("SKIPPED: " << language << ": there is no " << program);
      continue;
    }
    const std::string file = "humaneval-" + language + ".jsonl";
    for (const Json& row : Lines(file)) {
      const std::string task = row["task_id"];
      const std::string& label = labels[file + task];
      if (label != "pass" && label != "fail") continue;  // timeouts, compile errors
      items.push_back(RowItem(row, row["prompt"], row["gpt_solution"]));
      items.back().mutable_prompt()->set_id(language + " " + task);
      wanted.push_back(label == "pass");
    }
  }
  REQUIRE(items.size() > 100);
  const auto told = [&](const std::vector<v1::Verdict>& verdicts) {
    size_t agree = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      agree += verdicts[i].correct() == wanted[i];
      if (verdicts[i].correct() != wanted[i])
        std::printf("  %s: label %s, %s\n", items[i].prompt().id().c_str(),
                    wanted[i] ? "pass" : "fail", Told(verdicts[i]).c_str());
    }
    std::printf("labels reproduced: %zu of %zu\n", agree, items.size());
    CHECK(static_cast<double>(agree) >= 0.995 * static_cast<double>(items.size()));
  };
  const std::vector<v1::Verdict> first = ScoreAll(items);
  told(first);
  const auto same = [&](const std::vector<v1::Verdict>& again) {
    for (size_t i = 0; i < items.size(); ++i) {
      INFO(items[i].prompt().id() << ": " << Told(first[i]) << " | " << Told(again[i]));
      CHECK(first[i].correct() == again[i].correct());
      CHECK(first[i].parts(0).outcome() == again[i].parts(0).outcome());
    }
  };
  same(ScoreAll(items));
  const Overload overload;
  same(ScoreAll(items));
}

TEST_CASE("Contest problems are read, and empty programs do not pass them") {
  if (DataFolder().empty()) HONE_SKIP("HONE_DATA is not set");
  HONE_NEED("/usr/bin/python3");
  std::ifstream in(DataFolder() + "rllm_code_contests_test.json");
  const Json rows = Json::parse(in);
  std::vector<v1::ScoreItem> items;
  for (const Json& row : rows)
    items.push_back(
        RowItem(row, row["problem"], Fenced("python", "import sys\nsys.stdin.read()\n")));
  CHECK(items.size() == 165);
  for (const v1::Verdict& v : ScoreAll(items)) {
    INFO(Told(v));
    CHECK(v.parts(0).outcome() == v1::OUTCOME_SCORED);
    CHECK_FALSE(v.correct());
  }
}

}  // namespace
}  // namespace hone::testing
