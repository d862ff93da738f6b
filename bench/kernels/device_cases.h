#pragma once

// Op cases of the sizes that a large GPU sees: far more bytes than its caches hold.

#include "tests/kernels/cases/head.h"
#include "tests/kernels/cases/moe.h"
#include "tests/kernels/cases/optimizer.h"
#include "tests/kernels/cases/rows.h"

namespace hone::kernels::testing {

inline std::vector<Case> DeviceBenchCases() {
  const RouteShape deepseek{16384, 256, 8, Scoring::kSigmoid,      true,
                            true,  8,   4, GroupScore::kTopTwoSum, 2.5f};
  return {RmsNormCase({32768, 1, 2048, 0}),
          RmsNormCase({16384, 1, 7168, 0}),
          RmsNormCase({16384, 32, 128, 0}),
          RmsNormBackwardCase({32768, 1, 2048, 0}),
          RopeCase({16384, 32, 128, 0, false, false}),
          SwigluCase(16384, 4096, false),
          SwigluCase(16384, 4096, true),
          MoveCase(Move::kGather, 16384, 4096),
          MoveCase(Move::kEmbedding, 16384, 2048),
          RouteCase(deepseek),
          CombineCase(8192, 8, 2048, true, true, false),
          CombineCase(8192, 8, 2048, true, false, true),
          LogprobCase({256, 129280}),
          SampleCase({256, 129280}, true),
          SampleCase({256, 129280}),
          AdamWCase(64 << 20),
          CastCase(64 << 20),
          SumSquaresCase(128 << 20)};
}

}  // namespace hone::kernels::testing
