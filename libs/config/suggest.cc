#include "libs/config/suggest.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"

namespace hone {

int EditDistance(absl::string_view a, absl::string_view b) {
  const size_t n = b.size();
  std::vector<int> before(n + 1), last(n + 1), now(n + 1);  // rows i-2, i-1 and i of the table
  for (size_t j = 0; j <= n; ++j) last[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = static_cast<int>(i);
    for (size_t j = 1; j <= n; ++j) {
      const int replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[n];
}

std::string Closest(absl::string_view name, const std::vector<std::string>& candidates) {
  // The table is quadratic; no key of ours is this long.
  if (name.size() > 100) return "";
  const auto fold = [](absl::string_view s) {
    return absl::StrReplaceAll(absl::AsciiStrToLower(s), {{"-", "_"}});
  };
  const std::string folded = fold(name);
  std::string best;
  int best_distance = 0;
  for (const std::string& candidate : candidates) {
    const int distance = EditDistance(folded, fold(candidate));
    if (distance > std::max<int>(1, static_cast<int>(std::max(name.size(), candidate.size()) / 3)))
      continue;
    if (best.empty() || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace hone
