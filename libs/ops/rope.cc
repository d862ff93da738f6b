#include "libs/ops/rope.h"

#include <cmath>

namespace hone::ops {

RopeTable MakeRopeTable(const std::vector<double>& frequencies, double attention_factor,
                        int64_t positions, bool interleaved) {
  RopeTable table{.positions = positions,
                  .pairs = static_cast<int64_t>(frequencies.size()),
                  .interleaved = interleaved};
  table.values.reserve(static_cast<size_t>(positions * table.pairs * 2));
  for (int64_t p = 0; p < positions; ++p) {
    for (double f : frequencies) {
      const double angle = static_cast<double>(p) * f;
      table.values.push_back(static_cast<float>(std::cos(angle) * attention_factor));
      table.values.push_back(static_cast<float>(std::sin(angle) * attention_factor));
    }
  }
  return table;
}

void Rope(const Device& on, const RopeTable& table, const int32_t* positions, const Matrix& x,
          int64_t head_x, const Matrix& out, int64_t head_o, int64_t heads, bool inverse) {
  HONE_CHECK(x.rows == out.rows && x.dtype == out.dtype);
  on.Run(on.table().rope, kernels::RopeArgs{.x = x.data,
                                            .out = out.data,
                                            .table = table.values.data(),
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
