// Generation, scoring, training and the way of the weights to a worker on a device whose memory the
// host cannot touch (tests/testing/guarded_table.h): the bits are those of the host.

#include "tests/engine/device_training.h"
#include "tests/testing/guarded_table.h"

namespace hone {
namespace {

TEST_CASE("a device generates, scores, trains and is sent weights to the bits of the host",
          "[engine]") {
  for (const Variant& v : Variants()) {
    if (v.dtype == DType::kBF16 && !kernels::Cpu().has_bf16()) continue;
    INFO(v.text());
    const Outcome want = Train(v.name, v.dtype, v.lora, v.optimizer, kernels::Cpu());
    const Outcome got = Train(v.name, v.dtype, v.lora, v.optimizer, testing::GuardedTable());
    CheckEqual(got.completions, want.completions);
    CheckEqual(got.again, want.again);
    CHECK(got.scores == want.scores);
    CHECK(got.steps == want.steps);
    CHECK(got.digests == want.digests);
  }
}

}  // namespace
}  // namespace hone
