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
    // 1 us to 6 min.
    series.seconds =
        metrics->AddHistogram("hone_reward_seconds", "Time to judge a completion.",
                              ExponentialBuckets(1e-6, 6, 12), {{"scorer", scorer.name}});
    by_scorer_[scorer.name] = std::move(series);
  }
  // 10 us to 3000 s.
  queue_seconds_ = metrics->AddHistogram("hone_reward_queue_seconds",
                                         "Time that a completion waits for a thread.",
                                         ExponentialBuckets(1e-5, 7, 11));
}

void RewardMetrics::Count(const v1::Verdict& verdict) {
  queue_seconds_.Observe(verdict.queue_seconds());
  for (const v1::ScorePart& part : verdict.parts()) {
    auto it = by_scorer_.find(part.scorer());
    if (it == by_scorer_.end()) continue;
    if (v1::Outcome_IsValid(part.outcome())) it->second.by_outcome[part.outcome()].Increment();
    it->second.seconds.Observe(part.seconds());
  }
}

}  // namespace hone
