// math_bench [DATA]: the `math` scorer on one thread, by CPU time. DATA (default: $HONE_DATA) holds
// checker/labelled_completions.jsonl and checker/metamorphic.jsonl. Every item is scored five
// times and its fastest time counts, as the machine may be busy; the rate is that of all runs.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "google/protobuf/util/json_util.h"
#include "libs/reward/reward_function.h"
#include "nlohmann/json.hpp"

namespace {

double ThreadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Resident memory in KiB.
long Resident() {
  std::ifstream file("/proc/self/statm");
  long all = 0, resident = 0;
  file >> all >> resident;
  return resident * 4;
}

std::string Repeat(const std::string& piece, size_t bytes) {
  std::string all;
  while (all.size() < bytes) all += piece;
  all.resize(bytes);
  return all;
}

hone::v1::ScoreItem Item(const std::string& completion, const std::string& answer) {
  hone::v1::ScoreItem item;
  item.set_completion(completion);
  item.mutable_prompt()->set_answer(answer);
  return item;
}

std::vector<nlohmann::json> Rows(const std::string& path) {
  std::ifstream file(path);
  std::vector<nlohmann::json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(nlohmann::json::parse(line));
  if (rows.empty()) std::fprintf(stderr, "no rows in %s\n", path.c_str()), std::exit(1);
  return rows;
}

void Measure(const char* name, const hone::RewardFunction& f,
             const std::vector<hone::v1::ScoreItem>& items, int rounds) {
  std::vector<double> best(items.size(), 1e9);
  const long before = Resident();
  long after_one = 0;
  double all = 0;
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < items.size(); ++i) {
      const double start = ThreadSeconds();
      f.Score(items[i]);
      const double seconds = ThreadSeconds() - start;
      all += seconds;
      best[i] = std::min(best[i], seconds);
    }
    if (round == 0) after_one = Resident();
  }
  const size_t slowest =
      static_cast<size_t>(std::max_element(best.begin(), best.end()) - best.begin());
  std::vector<double> sorted = best;
  std::sort(sorted.begin(), sorted.end());
  auto at = [&](double q) {
    return 1e6 * sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))];
  };
  std::printf(
      "%-12s %6zu items  %9.0f checks/s  p50 %.1f us  p99 %.1f us  p99.9 %.1f us  max %.1f us\n",
      name, items.size(), static_cast<double>(items.size()) * rounds / all, at(0.5), at(0.99),
      at(0.999), at(1));
  std::printf(
      "%-12s memory: +%ld KiB in the first round, +%ld KiB in the %d after it; slowest: %.70s\n",
      "", after_one - before, Resident() - after_one, rounds - 1,
      items[slowest].completion().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const char* folder = argc > 1 ? argv[1] : std::getenv("HONE_DATA");
  if (folder == nullptr) {
    std::fprintf(stderr, "math_bench: name the data folder, or set HONE_DATA\n");
    return 1;
  }
  hone::v1::RewardSpec spec;
  if (!google::protobuf::util::JsonStringToMessage(R"({"scorers": [{"name": "math"}]})", &spec)
           .ok())
    return 1;
  const auto f = hone::RewardFunction::Create(spec);
  if (!f.ok()) return 1;
  std::vector<hone::v1::ScoreItem> labelled, pairs, hostile, large;
  for (const nlohmann::json& row :
       Rows(std::string(folder) + "/checker/labelled_completions.jsonl"))
    labelled.push_back(Item(row["response"].get<std::string>(), row["gold"].get<std::string>()));
  for (const nlohmann::json& row : Rows(std::string(folder) + "/checker/metamorphic.jsonl"))
    pairs.push_back(
        Item("\\boxed{" + row["pred"].get<std::string>() + "}", row["gold"].get<std::string>()));
  for (const char* answer :
       {"9^{9^9}", "9^{9^{9^9}}", "2004!!!!", "(((10!)!)!)!",
        "\\sqrt{\\sqrt{\\sqrt{\\sqrt{2+\\sqrt{3+\\sqrt5}}}}}", "(x+y+z+1)^{20}-(x+y+z)^{20}",
        "\\sin(10^{1000})", "\\binom{10^9}{10^8}", "e^{e^{e^{e^e}}}",
        "\\frac{1}{\\sqrt2\\cdot\\sqrt2-2}", "1e9999", "\\log\\log\\log 10^{10^{100}}"}) {
    hostile.push_back(Item(std::string("\\boxed{") + answer + "}", "9"));
    hostile.push_back(Item(std::string("\\boxed{") + answer + "}", std::string(answer) + "+0"));
    hostile.push_back(Item(std::string("\\boxed{") + answer + "}", "x+\\sqrt{2}"));
  }
  for (const char* piece : {"1,",
                            "\\frac",
                            "\\frac{1}{",
                            "{",
                            "(",
                            "\\sqrt{",
                            "x+",
                            "x*",
                            "x^",
                            "9^",
                            "!",
                            "|",
                            "\\pm1,",
                            "\\sqrt2+",
                            "\\sin x+",
                            "a/",
                            "\\cup(1,2)",
                            "x\\setminus",
                            "\\{",
                            "1 ",
                            "\\text{a}",
                            "\\begin{pmatrix}",
                            "-",
                            "x=",
                            "1<",
                            "\\overline{",
                            "\xe7\xad\x94",
                            "(x+1)",
                            "2^{",
                            "\\pi^"}) {
    const std::string body = Repeat(piece, 4000);
    hostile.push_back(Item("\\boxed{" + body + "}", "9"));
    hostile.push_back(Item("<answer>" + body + "</answer>", "x^2+\\sqrt{3}"));
    hostile.push_back(Item("<answer>" + body + "1</answer>", body + "2"));
  }
  // Lists in the other order, every item a little work.
  std::string list, reversed;
  for (int i = 0; i < 120; ++i) {
    list += "\\sqrt{" + std::to_string(i + 1000) + "}" + (i < 119 ? "," : "");
    reversed += "\\sqrt{" + std::to_string(1119 - i) + "}" + (i < 119 ? "," : "");
  }
  hostile.push_back(Item("\\boxed{" + list + "}", reversed));
  for (const char* piece : {"\n", "A:\n", "answer ", "answer is ", "\\boxed{}", "\\boxed{", "####",
                            "{", "}", "<answer>", "\\boxed ", " A: ", "\xe7\xad\x94\xe6\xa1\x88",
                            "final answer\n", "\\", "b", "a"})
    large.push_back(Item(Repeat(piece, size_t{2} << 20), "9"));
  Measure("labelled", *f, labelled, 5);
  Measure("metamorphic", *f, pairs, 5);
  Measure("hostile", *f, hostile, 3);
  Measure("2 MiB", *f, large, 3);
}
