#pragma once

#include <map>
#include <string>
#include <vector>

#include "libs/reward/registry.h"
#include "libs/telemetry/metrics.h"
#include "proto/hone/v1/reward.pb.h"

namespace hone {

// What the service counts: each part of each verdict. Thread-safe.
class RewardMetrics {
 public:
  // `metrics` may be null, and outlives this.
  RewardMetrics(Metrics* metrics, const std::vector<ScorerInfo>& scorers);

  void Count(const v1::Verdict& verdict);

 private:
  struct Series {
    std::vector<Counter> by_outcome;  // index: v1::Outcome
    Histogram seconds;
  };
  std::map<std::string, Series> by_scorer_;
  Histogram queue_seconds_;
};

}  // namespace hone
