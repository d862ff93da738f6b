// code_bench FOLDER [ITEMS] [LEVEL]: times the scorer `code` on HumanEval's references
// (FOLDER/HumanEval.jsonl.gz) and on completions in C++ (FOLDER/humaneval-cpp.jsonl), one item at a
// time, and next to them what a harness without precompiled header and cache does: one cold g++ -O0
// per item, in the same sandbox; for Python: reference and tests in one fresh interpreter. For
// rates per processor: taskset -c 1 code_bench ...

#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "bench/sandbox/spawn.h"
#include "google/protobuf/util/json_util.h"
#include "libs/base/check.h"
#include "libs/reward/code/scorer.h"
#include "libs/reward/reward_function.h"
#include "nlohmann/json.hpp"

namespace hone {
namespace {

using Json = nlohmann::json;

std::vector<Json> Lines(const std::string& path, size_t most) {
  gzFile file = gzopen(path.c_str(), "rb");
  HONE_CHECK(file != nullptr) << path;
  std::string text;
  char buffer[1 << 16];
  for (int n = 0; (n = gzread(file, buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  gzclose(file);
  std::istringstream in(text);
  std::vector<Json> rows;
  for (std::string line; rows.size() < most && std::getline(in, line);)
    rows.push_back(Json::parse(line));
  return rows;
}

v1::ScoreItem Item(Json row, const std::string& completion) {
  v1::ScoreItem item;
  item.set_completion(completion);
  item.set_finish_reason(v1::FINISH_REASON_STOP_TOKEN);
  item.mutable_prompt()->set_text(row["prompt"].get<std::string>());
  for (const char* field : {"prompt", "gpt_solution", "canonical_solution"}) row.erase(field);
  HONE_CHECK(google::protobuf::util::JsonStringToMessage(row.dump(),
                                                         item.mutable_prompt()->mutable_metadata())
                 .ok());
  return item;
}

template <typename F>
double Seconds(F f) {
  const TimePoint start = SystemClock::Get().Now();
  f();
  return std::chrono::duration<double>(SystemClock::Get().Now() - start).count();
}

void Print(const char* what, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  double sum = 0;
  for (double s : seconds) sum += s;
  std::printf("%-58s %5zu items  median %8.2f ms  p99 %8.2f ms  %7.1f per s\n", what,
              seconds.size(), 1e3 * seconds[seconds.size() / 2],
              1e3 * seconds[seconds.size() * 99 / 100], static_cast<double>(seconds.size()) / sum);
  std::fflush(stdout);
}

struct Series {
  const char* what;
  std::vector<double> seconds = {};
  int correct = 0;
};

void Print(std::vector<Series>& all) {
  for (Series& s : all) {
    Print(s.what, s.seconds);
    if (s.correct > 0) std::printf("%58s %5d correct\n", "", s.correct);
  }
}

struct World {
  std::unique_ptr<sandbox::Sandbox> sandbox;
  Registry registry;
  std::optional<RewardFunction> function;

  void Score(const v1::ScoreItem& item, Series& series) const {
    series.seconds.push_back(Seconds([&] { series.correct += function->Score(item).correct(); }));
  }
};

// In turns, so that whatever else the machine does is in all of them.
void Python(const World& world, const std::string& folder, size_t most) {
  std::vector<Series> series = {{"Python, HumanEval references, two processes each"},
                                {"Python, another completion of each"},
                                {"the same as one program, python3 -I -S"},
                                {"the same as one program, bubblewrap, python3 -I -S"}};
  const std::vector<Json> rows = Lines(folder + "/HumanEval.jsonl.gz", most);
  (*world.function).Score(Item(rows[0], rows[0]["canonical_solution"]));  // starts the interpreter
  std::vector<std::string> bubblewrap = Bubblewrap();
  bubblewrap[0] = InPath(bubblewrap[0]);
  for (const Json& row : rows) {
    const std::string solution = row["canonical_solution"];
    world.Score(Item(row, solution), series[0]);
    world.Score(Item(row, solution + "\n# another\n"), series[1]);
    std::vector<std::string> bare = {"/usr/bin/python3", "-I", "-S", "-c",
                                     absl::StrCat(row["prompt"].get<std::string>(), solution, "\n",
                                                  row["test"].get<std::string>(), "\ncheck(",
                                                  row["entry_point"].get<std::string>(), ")\n")};
    series[2].seconds.push_back(Seconds([&] { Spawn(bare); }));
    if (bubblewrap[0].empty()) continue;
    bare.insert(bare.begin(), bubblewrap.begin(), bubblewrap.end());
    series[3].seconds.push_back(Seconds([&] { Spawn(bare); }));
  }
  if (bubblewrap[0].empty()) series.pop_back();
  Print(series);
}

void Cpp(const World& world, const std::string& folder, size_t most) {
  std::vector<v1::ScoreItem> cpp, next;
  const std::vector<Json> rows = Lines(folder + "/humaneval-cpp.jsonl", most);
  for (const Json& row : rows) {
    cpp.push_back(Item(row, row["gpt_solution"]));
    // Another completion of the same prompt: a comment makes another text.
    std::string other = row["gpt_solution"];
    if (const size_t end = other.rfind("```"); end != 0) other.insert(end, "// another\n");
    next.push_back(Item(row, other));
  }
  std::printf("precompiled header: %.1f s\n", Seconds([&] { world.function->Score(cpp[0]); }));
  std::vector<Series> series = {{"C++, the first completion of a prompt (tests compiled too)"},
                                {"C++, another completion of it"},
                                {"C++, the same completion again"},
                                {"cold g++ -O0 of prompt and tests, not run (correct: built)"}};
  for (size_t i = 1; i < cpp.size(); ++i) {
    world.Score(cpp[i], series[0]);
    world.Score(next[i], series[1]);
    world.Score(next[i], series[2]);
    sandbox::Task task;
    task.argv = {"/usr/bin/env", "TMPDIR=.",   "/usr/bin/g++", "-std=gnu++17", "-O0",
                 "-w",           "program.cc", "-o",           "program"};
    task.files = {{"program.cc", rows[i]["prompt"].get<std::string>() + "  std::abort();\n" +
                                     rows[i]["tests"].get<std::string>()}};
    task.outputs = {"program"};
    task.limits.processes = 16;
    task.limits.memory_bytes = int64_t{2} << 30;
    task.limits.cpu_seconds = 60;
    series[3].seconds.push_back(Seconds([&] {
      auto result = world.sandbox->Run(task, kNoDeadline);
      HONE_CHECK(result.ok());
      series[3].correct += result->outputs.size() == 1;
    }));
  }
  Print(series);
}

int Main(const std::string& folder, size_t most, int level) {
  sandbox::Options options;
  options.minimum = sandbox::Level::kLimits;
  options.maximum = static_cast<sandbox::Level>(level);
  PrepareForCode(options);
  auto sandbox = sandbox::Sandbox::Create(options);
  HONE_CHECK(sandbox.ok()) << sandbox.status().ToString();
  World world{*std::move(sandbox), {}, {}};
  std::printf("isolation level %d\n", static_cast<int>(world.sandbox->level()));
  HONE_CHECK(RegisterCodeScorers(world.registry, world.sandbox.get()).ok());
  v1::RewardSpec spec;
  spec.add_scorers()->set_name("code");
  auto function = RewardFunction::Create(spec, world.registry);
  HONE_CHECK(function.ok()) << function.status().ToString();
  world.function = *std::move(function);
  Python(world, folder, most);
  Cpp(world, folder, most);
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: code_bench FOLDER [ITEMS] [LEVEL]\n");
    return 2;
  }
  return hone::Main(argv[1], argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 1000000,
                    argc > 3 ? std::atoi(argv[3]) : 3);
}
