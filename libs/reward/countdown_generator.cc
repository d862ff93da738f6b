#include "libs/reward/countdown_generator.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "nlohmann/json.hpp"
#include "xxhash.h"

namespace hone {
namespace {

constexpr int kLargestNumber = 20;
constexpr uint32_t kGiveUpOneIn = 2;    // after each failure
constexpr uint32_t kPatientOneIn = 10;  // of the demonstrations
constexpr int kMostHeldOut =
    2000;  // validation and test have more than 3000 different prompts each

// a o1 b o2 c, from left to right.
struct Expression {
  std::array<int, 3> operands;
  bool minus1, minus2;
  int middle, value;
};

// All that stay at or above 0, permutations in lexicographic order of position, + before -.
std::vector<Expression> Expressions(const std::array<int, 3>& numbers) {
  static constexpr std::array<std::array<int, 3>, 6> kOrders = {
      {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}};
  std::vector<Expression> all;
  for (const auto& order : kOrders) {
    const int a = numbers[order[0]], b = numbers[order[1]], c = numbers[order[2]];
    for (bool minus1 : {false, true}) {
      for (bool minus2 : {false, true}) {
        const int middle = minus1 ? a - b : a + b;
        const int value = minus2 ? middle - c : middle + c;
        if (middle >= 0 && value >= 0) all.push_back({{a, b, c}, minus1, minus2, middle, value});
      }
    }
  }
  return all;
}

std::string Numbers(const std::array<int, 3>& numbers) {
  return absl::StrCat(numbers[0], ",", numbers[1], ",", numbers[2]);
}

}  // namespace

CountdownSplit SplitOf(const CountdownInstance& instance) {
  std::array<int, 3> sorted = instance.numbers;
  std::sort(sorted.begin(), sorted.end());
  const std::string key = Numbers(sorted);
  const uint64_t percent = XXH3_64bits(key.data(), key.size()) % 100;
  if (percent < 65) return CountdownSplit::kTrain;
  return percent < 82 ? CountdownSplit::kValidation : CountdownSplit::kTest;
}

CountdownGenerator::CountdownGenerator(uint64_t seed, uint32_t stream) {
  std::seed_seq sequence{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), stream};
  random_.seed(sequence);
}

uint32_t CountdownGenerator::Below(uint32_t n) {
  const uint64_t limit = UINT64_MAX - UINT64_MAX % n;
  uint64_t x;
  do {
    x = random_();
  } while (x >= limit);
  return static_cast<uint32_t>(x % n);
}

CountdownInstance CountdownGenerator::Next(CountdownSplit split) {
  for (;;) {
    CountdownInstance instance;
    for (int& n : instance.numbers) n = 1 + static_cast<int>(Below(kLargestNumber));
    const auto& [a, b, c] = instance.numbers;
    if (a == b || b == c || a == c || SplitOf(instance) != split) continue;
    std::set<int> values;
    for (const Expression& e : Expressions(instance.numbers)) values.insert(e.value);
    instance.target = *std::next(values.begin(), Below(static_cast<uint32_t>(values.size())));
    if (instance.target != a && instance.target != b && instance.target != c) return instance;
  }
}

std::string CountdownGenerator::Demonstrate(const CountdownInstance& instance) {
  // One way for each value, the first in a fixed order: a model learns few expressions well.
  std::array<int, 3> descending = instance.numbers;
  std::sort(descending.begin(), descending.end(), std::greater<>());
  std::vector<Expression> attempts;
  for (const Expression& e : Expressions(descending)) {
    auto same = [&e](const Expression& other) { return other.value == e.value; };
    if (std::none_of(attempts.begin(), attempts.end(), same)) attempts.push_back(e);
  }
  for (size_t i = attempts.size(); i > 1; --i)
    std::swap(attempts[i - 1], attempts[Below(static_cast<uint32_t>(i))]);

  const bool patient = Below(kPatientOneIn) == 0;
  std::string out = "<think>";
  std::string answer;
  for (const Expression& e : attempts) {
    const char* op1 = e.minus1 ? "-" : "+";
    const char* op2 = e.minus2 ? "-" : "+";
    const auto& [a, b, c] = e.operands;
    const bool right = e.value == instance.target;
    absl::StrAppend(&out, a, op1, b, "=", e.middle, op2, c, "=", e.value, right ? "ok." : "no.");
    answer = absl::StrCat(a, op1, b, op2, c);
    if (right || (!patient && Below(kGiveUpOneIn) == 0)) break;
  }
  return absl::StrCat(out, "</think><answer>", answer, "</answer><eos>");
}

std::string CountdownPrompt(const CountdownInstance& instance) {
  return absl::StrCat("<bos><user>Use ", Numbers(instance.numbers), " to make ", instance.target,
                      ".<assistant>");
}

std::string CountdownLine(absl::string_view id, const CountdownInstance& instance,
                          absl::string_view response) {
  nlohmann::ordered_json line;
  line["id"] = std::string(id);
  line["prompt"] = CountdownPrompt(instance);
  line["answer"] = absl::StrCat(instance.target);
  if (!response.empty()) line["response"] = std::string(response);
  line["numbers"] = instance.numbers;
  line["target"] = instance.target;
  return line.dump();
}

absl::Status WriteCountdownData(const std::string& folder, const CountdownDataOptions& options) {
  struct File {
    const char* name;
    int count;
    CountdownSplit split;
    bool demonstrate, distinct;
  };
  const File files[] = {
      {"sft", options.demonstrations, CountdownSplit::kTrain, true, false},
      {"rl", options.prompts, CountdownSplit::kTrain, false, false},
      {"validation", options.validation, CountdownSplit::kValidation, false, true},
      {"test", options.test, CountdownSplit::kTest, false, true},
  };
  for (const File& file : files)
    if (file.count < 0 || (file.distinct && file.count > kMostHeldOut))
      return absl::InvalidArgumentError(absl::StrCat(
          file.name, " has ", file.count, " prompts, expected ",
          file.distinct ? absl::StrCat("0 to ", kMostHeldOut, " different ones") : "0 or more"));

  HONE_RETURN_IF_ERROR(MakeDirectories(folder));
  uint32_t stream = 0;
  for (const File& file : files) {
    CountdownGenerator generator(options.seed, stream++);
    std::set<std::string> seen;
    std::string text;
    for (int i = 0; i < file.count; ++i) {
      CountdownInstance instance = generator.Next(file.split);
      while (file.distinct && !seen.insert(CountdownPrompt(instance)).second)
        instance = generator.Next(file.split);
      const std::string response = file.demonstrate ? generator.Demonstrate(instance) : "";
      absl::StrAppend(&text, CountdownLine(absl::StrCat(file.name, "-", i), instance, response),
                      "\n");
    }
    HONE_RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(folder, "/", file.name, ".jsonl"), text));
  }
  return absl::OkStatus();
}

}  // namespace hone
