#include "libs/ops/rope.h"

#include <cmath>

namespace hone::ops {

RopeTable MakeRopeTable(const std::vector<double>& frequencies, double attention_factor,
                        int64_t positions, bool interleaved, const kernels::Table& on) {
  const auto pairs = static_cast<int64_t>(frequencies.size());
  const int64_t n = positions * pairs * 2;
  RopeTable table{.values = Memory(n * static_cast<int64_t>(sizeof(float)), on),
                  .positions = positions,
                  .pairs = pairs,
                  .interleaved = interleaved};
  std::vector<float> values;
  values.reserve(static_cast<size_t>(n));
  for (int64_t p = 0; p < positions; ++p) {
    for (double f : frequencies) {
      const double angle = static_cast<double>(p) * f;
      values.push_back(static_cast<float>(std::cos(angle) * attention_factor));
      values.push_back(static_cast<float>(std::sin(angle) * attention_factor));
    }
  }
  Device(on, 1).Write(static_cast<float*>(table.values.data()), values.data(), n);
  return table;
}

void Rope(const Device& on, const RopeTable& table, const int32_t* positions, const Matrix& x,
          int64_t head_x, const Matrix& out, int64_t head_o, int64_t heads, bool inverse) {
  HONE_CHECK(x.rows == out.rows && x.dtype == out.dtype);
  on.Run(on.table().rope, kernels::RopeArgs{.x = x.data,
                                            .out = out.data,
                                            .table = static_cast<const float*>(table.values.data()),
                                            .positions = positions,
                                            .n = x.rows,
                                            .heads = heads,
                                            .d = 2 * table.pairs,
                                            .ldx = x.ld,
                                            .head_x = head_x,
                                            .ldo = out.ld,
                                            .head_o = head_o,
                                            .interleaved = table.interleaved,
                                            .inverse = inverse,
                                            .dtype = x.dtype});
}

}  // namespace hone::ops
