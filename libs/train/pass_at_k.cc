#include "libs/train/pass_at_k.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "libs/base/check.h"

namespace hone {

double PassAtK(int64_t n, int64_t correct, int64_t k) {
  HONE_CHECK(0 <= correct && correct <= n) << correct << " correct of " << n;
  HONE_CHECK(1 <= k && k <= n) << "k " << k << " of " << n;
  if (n - correct < k) return 1;
  // The quotient of binomials as a product of k or `correct` factors below 1, never a factorial.
  double none = 1;
  for (int64_t i = n - correct + 1; i <= n; ++i)
    none *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - none;
}

double MajorityAtK(std::span<const int> answer, std::span<const uint8_t> correct) {
  HONE_CHECK(answer.size() == correct.size()) << answer.size() << " != " << correct.size();
  struct Class {
    int64_t votes = 0;
    bool correct = false;
  };
  std::map<int, Class> classes;
  int64_t most = 0;
  for (size_t i = 0; i < answer.size(); ++i) {
    if (answer[i] < 0) continue;
    Class& c = classes[answer[i]];
    most = std::max(most, ++c.votes);
    c.correct |= correct[i] != 0;
  }
  int64_t tied = 0, right = 0;
  for (const auto& [id, c] : classes) {
    if (c.votes != most) continue;
    ++tied;
    right += c.correct;
  }
  return tied == 0 ? 0 : static_cast<double>(right) / static_cast<double>(tied);
}

MeanAtK MeanPassAtOne(std::span<const int64_t> correct, int64_t k) {
  HONE_CHECK(k >= 1) << k;
  MeanAtK result;
  if (correct.empty()) return result;
  double variance = 0;
  for (int64_t c : correct) {
    HONE_CHECK(0 <= c && c <= k) << c << " correct of " << k;
    const double p = static_cast<double>(c) / static_cast<double>(k);
    result.mean += p;
    variance += p * (1 - p) / static_cast<double>(k);
  }
  const double prompts = static_cast<double>(correct.size());
  result.mean /= prompts;
  result.standard_error = std::sqrt(variance) / prompts;
  return result;
}

}  // namespace hone
