#include "libs/model/balance.h"

#include <algorithm>
#include <numeric>

namespace hone {

BalanceTerms SequenceBalance(const float* scores, int64_t n, int64_t e, int64_t k,
                             const std::vector<int32_t>& q_start, double alpha) {
  const size_t sequences = q_start.size() - 1;
  BalanceTerms out;
  out.gradient.assign(sequences * static_cast<size_t>(e), 0);
  out.sequence_of.assign(static_cast<size_t>(n), 0);
  std::vector<int64_t> order(static_cast<size_t>(e));
  for (size_t s = 0; s < sequences; ++s) {
    const int64_t tokens = q_start[s + 1] - q_start[s];
    if (tokens == 0) continue;
    std::vector<double> f(static_cast<size_t>(e), 0), p(static_cast<size_t>(e), 0);
    for (int64_t t = q_start[s]; t < q_start[s + 1]; ++t) {
      out.sequence_of[static_cast<size_t>(t)] = static_cast<int32_t>(s);
      const float* row = scores + t * e;
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
        return row[a] != row[b] ? row[a] > row[b] : a < b;
      });
      for (int64_t i = 0; i < k; ++i) f[static_cast<size_t>(order[static_cast<size_t>(i)])] += 1;
      const double sum = std::accumulate(row, row + e, 0.0);
      for (int64_t i = 0; i < e; ++i) p[static_cast<size_t>(i)] += row[i] / sum;
    }
    const auto t = static_cast<double>(tokens);
    for (int64_t i = 0; i < e; ++i) {
      const double fi =
          f[static_cast<size_t>(i)] * static_cast<double>(e) / (static_cast<double>(k) * t);
      out.loss += alpha * fi * p[static_cast<size_t>(i)] / t;
      out.gradient[s * static_cast<size_t>(e) + static_cast<size_t>(i)] =
          static_cast<float>(alpha * fi / t);
    }
  }
  return out;
}

void UpdateRoutingBiases(const ParameterLayout& layout, const ExpertLoad& load, double rate,
                         Weights& weights) {
  float* biases = static_cast<float*>(weights.biases.data());
  for (size_t l = 0; l < load.size(); ++l) {
    const int64_t offset = layout.layers()[l].bias;
    const int64_t total = std::accumulate(load[l].begin(), load[l].end(), int64_t{0});
    if (offset < 0 || total == 0) continue;
    const double mean = static_cast<double>(total) / static_cast<double>(load[l].size());
    for (size_t i = 0; i < load[l].size(); ++i) {
      const double gap = mean - static_cast<double>(load[l][i]);
      const double sign = gap > 0 ? 1 : (gap < 0 ? -1 : 0);
      biases[offset + static_cast<int64_t>(i)] += static_cast<float>(rate * sign);
    }
  }
}

double MaxViolation(const ExpertLoad& load) {
  double worst = 0;
  for (const std::vector<int64_t>& layer : load) {
    const int64_t total = std::accumulate(layer.begin(), layer.end(), int64_t{0});
    if (total == 0) continue;
    const double mean = static_cast<double>(total) / static_cast<double>(layer.size());
    worst = std::max(worst,
                     static_cast<double>(*std::max_element(layer.begin(), layer.end())) / mean - 1);
  }
  return worst;
}

ExpertLoad NewExpertLoad(const ModelConfig& config) {
  ExpertLoad load;
  for (bool sparse : config.sparse)
    load.emplace_back(static_cast<size_t>(sparse ? config.moe.experts : 0), 0);
  return load;
}

}  // namespace hone
