#pragma once

// What evaluation says about several completions of one prompt. Pure, thread-safe.

#include <cstdint>
#include <span>

namespace hone {

// Chance that k completions drawn without replacement from n, of which `correct` are, hold a
// correct one: 1 - C(n - correct, k) / C(n, k), unbiased. 0 <= correct <= n, 1 <= k <= n.
double PassAtK(int64_t n, int64_t correct, int64_t k);

// Chance that the most frequent answer is correct. `answer[i]` names completion i's answer class
// (equal numbers: the verifier holds the answers equal), -1: it gave none; `correct[i]` is its
// verdict. Classes that tie for the most votes share the point. No answer never wins. Without any
// answer: 0. A class is correct when one of its members is.
double MajorityAtK(std::span<const int> answer, std::span<const uint8_t> correct);

// Mean over prompts of pass@1, each the mean over k completions, with the sampling error of the
// completions: sqrt(sum p (1 - p) / k) / prompts. The error of drawing the prompts is not in it.
struct MeanAtK {
  double mean = 0;
  double standard_error = 0;
};
// `correct[i]` of `k` completions of prompt i were correct; k >= 1. No prompts: zeros.
MeanAtK MeanPassAtOne(std::span<const int64_t> correct, int64_t k);

}  // namespace hone
