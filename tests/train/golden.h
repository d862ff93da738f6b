#pragma once

// Reads tests/golden/algo_golden.json, whose numbers an independent scalar autodiff produced in
// double precision.

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/testing/test.h"

namespace hone::testing {

inline const nlohmann::json& Golden() {
  static const nlohmann::json golden = [] {
    std::ifstream file(HONE_GOLDEN_DIR "/algo_golden.json");
    REQUIRE(file.is_open());
    return nlohmann::json::parse(file);
  }();
  return golden;
}

using Rows = std::vector<std::vector<double>>;

// Relative above 1, absolute below. NaN is never near.
inline bool Near(double got, double want, double tolerance = 1e-12) {
  return std::abs(got - want) <= tolerance * std::max(1.0, std::abs(want));
}

inline bool Near(const std::vector<double>& got, const std::vector<double>& want,
                 double tolerance = 1e-12) {
  if (got.size() != want.size()) return false;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!Near(got[i], want[i], tolerance)) return false;
  }
  return true;
}

}  // namespace hone::testing
