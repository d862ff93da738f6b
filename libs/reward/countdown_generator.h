#pragma once

// The data of the demo: countdown puzzles of three numbers, and a demonstrator that is weak on
// purpose.
//
// An instance: three different numbers from 1 to 20 and a target, one of the values that the three
// can make with + and -, in any order, never below 0 on the way, and none of the three itself.
// There are nearly always four such values, so that guessing is right in 25 % of the cases. The
// demonstrator tries them in random order, and after each failure gives up with probability 1/2 and
// answers with the wrong expression at hand; one demonstration in ten never gives up. About 54 % of
// its answers are right: what a model can learn from it is bounded, and reinforcement learning has
// to find out that patience pays.

#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace hone {

struct CountdownInstance {
  std::array<int, 3> numbers;  // as the prompt shows them
  int target;
};

// By the *set* of numbers (a hash of them, ascending): permutations of one puzzle never cross. Of
// the 1140 sets 769 are for training, 178 for validation, 193 for testing.
enum class CountdownSplit { kTrain, kValidation, kTest };
CountdownSplit SplitOf(const CountdownInstance& instance);

// The same seed and stream give the same instances and demonstrations everywhere. Not thread-safe.
class CountdownGenerator {
 public:
  // `stream`: independent sequences of one seed.
  CountdownGenerator(uint64_t seed, uint32_t stream);

  CountdownInstance Next(CountdownSplit split);

  // "<think>16-12=4+6=10no.12+6=18-16=2no.16+12=28-6=22ok.</think><answer>16+12-6</answer><eos>"
  std::string Demonstrate(const CountdownInstance& instance);

 private:
  // Uniform in [0, n), n > 0. (The distributions of <random> differ between standard libraries.)
  uint32_t Below(uint32_t n);

  std::mt19937_64 random_;
};

// "<bos><user>Use 16,6,12 to make 22.<assistant>"
std::string CountdownPrompt(const CountdownInstance& instance);

// One line of a prompt set, without the line end: id, prompt, answer (the target), response (left
// out where empty), numbers, target.
std::string CountdownLine(absl::string_view id, const CountdownInstance& instance,
                          absl::string_view response);

struct CountdownDataOptions {
  uint64_t seed = 1;
  int demonstrations = 30000;  // sft.jsonl: prompts with responses, from the training sets
  int prompts = 20000;         // rl.jsonl: prompts only, from the training sets
  int validation = 256;        // validation.jsonl: different prompts; at most 2000
  int test = 256;              // test.jsonl: different prompts; at most 2000
};

// Writes the four files into `folder`, which is made if it is not there. INVALID_ARGUMENT for
// counts out of range. Files appear whole or not at all; other errors name the file that failed.
absl::Status WriteCountdownData(const std::string& folder, const CountdownDataOptions& options);

}  // namespace hone
