#include "services/reward/reward_metrics.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace hone {

RewardMetrics::RewardMetrics(Metrics* metrics, const std::vector<ScorerInfo>& scorers) {
  if (metrics == nullptr) return;
  for (const ScorerInfo& scorer : scorers) {
    Series series;
    for (int i = 0; i < v1::Outcome_ARRAYSIZE; ++i) {
      const std::string name = v1::Outcome_Name(static_cast<v1::Outcome>(i));
      const std::string label =
          absl::AsciiStrToLower(absl::StripPrefix(absl::string_view(name), "OUTCOME_"));
      series.by_outcome.push_back(
          metrics->AddCounter("hone_reward_requests_total", "Completions judged, by scorer.",
                              {{"scorer", scorer.name}, {"outcome", label}}));
    }
    // 1 us to 4 s.
    series.seconds =
        metrics->AddHistogram("hone_reward_seconds", "Time to judge a completion.",
                              ExponentialBuckets(1e-6, 4, 12), {{"scorer", scorer.name}});
    by_scorer_[scorer.name] = std::move(series);
  }
}

void RewardMetrics::Count(const v1::Verdict& verdict) {
  for (const v1::ScorePart& part : verdict.parts()) {
    auto it = by_scorer_.find(part.scorer());
    if (it == by_scorer_.end()) continue;
    if (v1::Outcome_IsValid(part.outcome())) it->second.by_outcome[part.outcome()].Increment();
    it->second.seconds.Observe(part.seconds());
  }
}

}  // namespace hone
