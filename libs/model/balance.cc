#include "libs/model/balance.h"

#include <algorithm>
#include <numeric>

namespace hone {

void UpdateRoutingBiases(const Device& on, Arena& arena, const ParameterLayout& layout,
                         const ExpertLoad& load, double rate, Weights& weights) {
  std::vector<float> change(static_cast<size_t>(layout.bias_size()));
  for (size_t l = 0; l < load.size(); ++l) {
    const int64_t offset = layout.layers()[l].bias;
    const int64_t total = std::accumulate(load[l].begin(), load[l].end(), int64_t{0});
    if (offset < 0 || total == 0) continue;
    const double mean = static_cast<double>(total) / static_cast<double>(load[l].size());
    for (size_t i = 0; i < load[l].size(); ++i) {
      const double gap = mean - static_cast<double>(load[l][i]);
      const double sign = gap > 0 ? 1 : (gap < 0 ? -1 : 0);
      change[static_cast<size_t>(offset) + i] = static_cast<float>(rate * sign);
    }
  }
  const auto [x] = on.Upload(arena, change);
  on.Run(on.table().axpby, kernels::AxpbyArgs{.x = x,
                                              .y = static_cast<float*>(weights.biases.data()),
                                              .n = layout.bias_size(),
                                              .a = 1,
                                              .b = 1});
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
