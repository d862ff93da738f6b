// The data sets of $HONE_DATA/code: references pass, and other people's labels are reproduced,
// twice and on a machine that is busy with other things.

#include <zlib.h>

#include <algorithm>
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

// Every how manieth item of the labels is run; all, unless $HONE_LABELS_EVERY says otherwise.
size_t Stride() {
  const char* every = std::getenv("HONE_LABELS_EVERY");
  return every == nullptr ? 1 : std::max<size_t>(1, std::strtoul(every, nullptr, 10));
}

// Runs the labelled completions of HumanEval in `language` (a data set's name for it) three times,
// the last time on a busy machine.
void ReproduceLabels(const std::string& language) {
  if (DataFolder().empty()) HONE_SKIP("HONE_DATA is not set");
  std::map<std::string, std::string> labels;  // by file and task
  for (const Json& row : Lines("labels_humaneval.jsonl"))
    labels[row["file"].get<std::string>() + row["task_id"].get<std::string>()] = row["status"];
  const std::string file = "humaneval-" + language + ".jsonl";
  std::vector<v1::ScoreItem> items;
  std::vector<bool> wanted;
  size_t row_number = 0;
  for (const Json& row : Lines(file)) {
    const std::string task = row["task_id"];
    const std::string& label = labels[file + task];
    if (label != "pass" && label != "fail") continue;  // timeouts, compile errors
    if (row_number++ % Stride() != 0) continue;
    items.push_back(RowItem(row, row["prompt"], row["gpt_solution"]));
    items.back().mutable_prompt()->set_id(language + " " + task);
    wanted.push_back(label == "pass");
  }
  REQUIRE(items.size() > 100 / Stride());
  const auto same = [&](const std::vector<v1::Verdict>& first,
                        const std::vector<v1::Verdict>& again) {
    size_t equal = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      INFO(items[i].prompt().id() << ": " << Told(first[i]) << " | " << Told(again[i]));
      const bool is_equal = first[i].correct() == again[i].correct() &&
                            first[i].parts(0).outcome() == again[i].parts(0).outcome();
      CHECK(is_equal);
      equal += is_equal;
    }
    std::printf("%s: %zu of %zu verdicts again\n", language.c_str(), equal, items.size());
    std::fflush(stdout);
  };
  const std::vector<v1::Verdict> first = ScoreAll(items);
  size_t agree = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    agree += first[i].correct() == wanted[i];
    if (first[i].correct() != wanted[i])
      std::printf("  %s: label %s, %s\n", items[i].prompt().id().c_str(),
                  wanted[i] ? "pass" : "fail", Told(first[i]).c_str());
  }
  std::printf("%s: labels reproduced: %zu of %zu\n", language.c_str(), agree, items.size());
  std::fflush(stdout);
  CHECK(static_cast<double>(agree) >= 0.995 * static_cast<double>(items.size()));
  same(first, ScoreAll(items));
  const Overload overload;
  same(first, ScoreAll(items));
}

TEST_CASE("Labels of C++ are reproduced, twice and on a busy machine") {
  if (std::getenv("HONE_LABELS") == nullptr) HONE_SKIP("takes 10 minutes: set HONE_LABELS=1");
  HONE_NEED("/usr/bin/g++");
  ReproduceLabels("cpp");
}

TEST_CASE("Labels of JavaScript are reproduced, twice and on a busy machine") {
  if (std::getenv("HONE_LABELS") == nullptr) HONE_SKIP("takes 10 minutes: set HONE_LABELS=1");
  HONE_NEED("/usr/bin/node");
  ReproduceLabels("js");
}

TEST_CASE("Labels of shell are reproduced, twice and on a busy machine") {
  if (std::getenv("HONE_LABELS") == nullptr) HONE_SKIP("takes 10 minutes: set HONE_LABELS=1");
  HONE_NEED("/bin/bash");
  ReproduceLabels("sh");
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
