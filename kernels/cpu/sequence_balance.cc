#include <algorithm>
#include <numeric>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/team.h"

namespace hone::kernels::cpu {

Error SequenceBalance(const SequenceBalanceArgs& a, Stream stream) {
  ParallelFor(stream, a.sequences, 1, [&](int64_t first, int64_t last) {
    int32_t* order = static_cast<int32_t*>(Scratch(static_cast<size_t>(8 * a.e)));
    int32_t* chosen = order + a.e;
    for (int64_t s = first; s < last; ++s) {
      std::fill_n(chosen, a.e, 0);
      for (int64_t n = a.q_start[s]; n < a.q_start[s + 1]; ++n) {
        a.sequence_of[n] = static_cast<int32_t>(s);
        const float* row = a.scores + n * a.e;
        std::iota(order, order + a.e, 0);
        std::partial_sort(order, order + a.k, order + a.e, [row](int32_t i, int32_t j) {
          return row[i] != row[j] ? row[i] > row[j] : i < j;
        });
        for (int64_t i = 0; i < a.k; ++i) ++chosen[order[i]];
      }
      const double tokens = a.q_start[s + 1] - a.q_start[s];
      for (int64_t i = 0; i < a.e; ++i) {
        const double f = chosen[i] * static_cast<double>(a.e) / (static_cast<double>(a.k) * tokens);
        a.gradient[s * a.e + i] = tokens == 0 ? 0 : static_cast<float>(a.alpha * f / tokens);
      }
    }
  });
  return nullptr;
}

}  // namespace hone::kernels::cpu
